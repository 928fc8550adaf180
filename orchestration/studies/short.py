"""What studies of short trainings share before anything is measured: the numbers of one, and where captions lie."""

from pydantic import Field, PositiveInt

from orchestration.plan.programme import Part

TEXTS = "captions"
"""The cell that makes the text encoder's captions once for all trainings."""


class Short(Part):
    """The numbers of a short training."""

    steps: PositiveInt
    batch: PositiveInt
    learning_rate: float = Field(gt=0)
    warmup: int = Field(ge=0)
    checkpoint_every: PositiveInt
