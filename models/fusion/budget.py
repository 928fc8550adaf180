"""A fusion's trainable parameters against what §2.2 allows."""

from dataclasses import dataclass

from models.fusion.build import count, mlp_width
from models.fusion.config import FusionConfig, FusionError

PARAMETER_BUDGET = 50_000_000
"""§2.2: "still within 50M budget"."""


class OverBudgetError(FusionError):
    """A fusion with more parameters than the programme has promised."""


@dataclass(frozen=True)
class ParameterBudget:
    """How many trainable parameters a fusion has, and how many it may have."""

    parameters: int
    allowed: int = PARAMETER_BUDGET

    @property
    def over(self) -> int:
        """Parameters above what is allowed; 0 or less is within."""
        return self.parameters - self.allowed

    def __str__(self) -> str:
        apart = f"{self.over:,} over" if self.over > 0 else f"{-self.over:,} under"
        return f"{self.parameters:,} trainable parameters, {apart} the budget of {self.allowed:,} (§2.2)"


def parameter_budget(config: FusionConfig) -> ParameterBudget:
    """The configuration's parameters against the budget; nothing is allocated."""
    return ParameterBudget(count(config, mlp_width(config)))


def require_within_budget(config: FusionConfig) -> None:
    """Refuse a fusion that is over the budget; whoever overrides does not ask.

    Raises:
        OverBudgetError: with the numbers.
    """
    budget = parameter_budget(config)
    if budget.over > 0:
        raise OverBudgetError(
            f"fusion: kind={config.kind} dim={config.dim} layers={config.layers} has {budget}; make it smaller, or "
            "override the budget on purpose"
        )
