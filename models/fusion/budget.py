"""A fusion's trainable parameters against what §2.2 allows."""

from dataclasses import dataclass

from models.fusion.config import FusionConfig, FusionError
from models.fusion.size import parameters


class OverBudgetError(FusionError):
    """A fusion with more parameters than the programme has promised (exit 3)."""

    exit_code = 3


@dataclass(frozen=True)
class ParameterBudget:
    """How many trainable parameters a fusion has, and how many it may have."""

    parameters: int
    allowed: int
    section: str = "2.2"

    @property
    def over(self) -> int:
        """Parameters above what is allowed; 0 or less is within."""
        return self.parameters - self.allowed

    def __str__(self) -> str:
        apart = f"{self.over:,} over" if self.over > 0 else f"{-self.over:,} under"
        return f"{self.parameters:,} trainable parameters, {apart} the budget of {self.allowed:,} (§{self.section})"


def parameter_budget(config: FusionConfig, allowed: int) -> ParameterBudget:
    """The configuration's parameters against the budget; nothing is built."""
    return ParameterBudget(parameters(config), allowed)


def require_within_budget(config: FusionConfig, allowed: int) -> None:
    """Refuse a fusion that is over the budget; whoever overrides does not ask.

    Raises:
        OverBudgetError: with the numbers.
    """
    budget = parameter_budget(config, allowed)
    if budget.over > 0:
        raise OverBudgetError(
            f"fusion: kind={config.kind} dim={config.dim} layers={config.layers} has {budget}; make it smaller, or set "
            "over_budget: true under fusion in the profile to go over on purpose"
        )
