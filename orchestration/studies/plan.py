"""What a study will do and at most cost under a profile, before anything runs."""

from dataclasses import dataclass

from orchestration.plan.programme import Programme
from orchestration.profile import Profile
from orchestration.studies.declaration import StudyDeclaration, study


@dataclass(frozen=True)
class StudyPlan:
    """The cells of a study, and the most that it may spend."""

    experiment: str
    profile: str
    cells: tuple[str, ...]
    max_hours: float
    """Of wall clock; the reservation."""
    gpus: int
    usd_per_hour: float
    """Of one GPU."""

    @property
    def gpu_hours(self) -> float:
        """GPUs times hours."""
        return self.gpus * self.max_hours

    @property
    def usd(self) -> float:
        """At the programme's price (§3.4)."""
        return self.gpu_hours * self.usd_per_hour


def plan(declared: StudyDeclaration, profile: Profile, programme: Programme) -> StudyPlan:
    """The plan of a study under a profile."""
    sizes = declared.sized(profile)
    cells = study(declared.name).cells(declared.planned, sizes)
    price = programme.budget.gpu_hours.price.usd_per_hour
    names = tuple(cell.name for cell in cells)
    return StudyPlan(declared.name, profile.name, names, sizes.max_hours, profile.budget.gpus, price)
