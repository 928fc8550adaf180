"""The experiments that remain (§5), and a fallback's router (§4.3): each of cells, and declared in config/experiments/
before it is run (ADR 24).
"""

from orchestration.home import REPOSITORY

STUDIES = ("c2", "q3", "c3", "q4", "q5", "c4", "router")
"""In the order of §5.7, then the fallback."""


def declared() -> tuple[str, ...]:
    """Those that are declared here."""
    return tuple(name for name in STUDIES if (REPOSITORY / "config" / "experiments" / f"{name}.yaml").is_file())
