"""What became of a fault: the row that its test fills in, and what every row must be."""

from dataclasses import asdict, dataclass
from typing import Literal

from orchestration.budget.spending import BEAT_S


@dataclass
class FaultRow:
    """One fault, filled in by its test from what it counted."""

    fault: str
    ended: Literal["right result", "clear failure", ""] = ""
    twice: int | None = None
    """Pieces of work that were done again though they were done."""
    lost: int | None = None
    """Pieces of work, rows or numbers that were there and are not any more."""
    budget_off_s: float | None = None
    """How far the ledger is from the time that was used, in seconds; None where the fault touches no budget."""

    def wrong(self) -> str:
        """Why this row is not as every row must be; nothing when it is."""
        if self.ended not in ("right result", "clear failure") or self.twice is None or self.lost is None:
            return "its test did not say how it ended, what was done twice and what was lost"
        if self.twice or self.lost:
            return f"{self.twice} done twice, {self.lost} lost"
        if self.budget_off_s is not None and abs(self.budget_off_s) > BEAT_S:
            return f"the budget is off by {self.budget_off_s:.1f} s, more than a heartbeat of {BEAT_S:.0f} s"
        return ""

    def document(self) -> dict[str, object]:
        """As `--json` prints it."""
        return {**asdict(self), "wrong": self.wrong()}
