"""Whether a profile's fusion is within the parameter budget (§2.2): asked before anything is dispatched.

Counted by arithmetic from the configurations of the profile's weights, those of the proposal's networks where a folder
is not there yet; no torch. A profile goes over on purpose with `over_budget: true` under `fusion`; that stands in its
jobs, in MLflow, in Dagster and in `foresight model describe`.
"""

from pathlib import Path
from typing import Any, get_args

from models.describe.geometry import CONFIGURATIONS, Geometry, read
from models.fusion.budget import ParameterBudget, parameter_budget, require_within_budget
from models.fusion.config import NAMED, FusionConfig, FusionError, Kind, sizes_of
from models.provenance import WeightsError
from orchestration.plan.programme import Programme
from orchestration.profile import PARTS, Profile, ProfileError, weights_folder


def require(profile: Profile, programme: Programme) -> ParameterBudget:
    """The fusion's parameters against the budget.

    Raises:
        OverBudgetError: they are over, and the profile does not say that they may be (exit 3).
        GeometryError: the configuration of one of the profile's networks gives no sizes.
    """
    config, allowed = fusion_of(profile, geometry_of(profile)), programme.budget.trainable_parameters.most
    if not profile.fusion.over_budget:
        require_within_budget(config, allowed)
    return parameter_budget(config, allowed)


def said(profile: Profile, budget: ParameterBudget) -> str:
    """The budget in words, with the override where one was needed."""
    return f"{budget}{', on purpose: fusion.over_budget' if budget.over > 0 and profile.fusion.over_budget else ''}"


def fusion_of(profile: Profile, geometry: Geometry, name: str = "") -> FusionConfig:
    """The profile's fusion, or another for the same clips: a named configuration, or the profile's as another kind.

    Raises:
        FusionError: neither a configuration nor a kind has this name.
    """
    choices: dict[str, Any] = profile.fusion.choices()
    if name in NAMED:
        kept = ("kind", "query_mode", "global_queries")
        choices = {**{key: choices[key] for key in kept}, **sizes_of(name)}
    elif name in get_args(Kind):
        choices |= {"kind": name, "query_mode": "learned", "global_queries": False}
    elif name:
        raise FusionError(f"no fusion {name!r}; there are {', '.join((*NAMED, *get_args(Kind)))}")
    return geometry.fusion(profile.clips.frames, profile.clips.size, choices)


def geometry_of(profile: Profile) -> Geometry:
    """Of the profile's networks."""
    return read(folders_of(profile))


def folders_of(profile: Profile) -> dict[str, Path]:
    """Folders of the profile's networks, those whose configuration is there; nothing is fetched, nothing hashed."""
    found = {}
    for name, configuration in CONFIGURATIONS.items():
        try:
            folder = weights_folder(getattr(profile.weights, name).source, PARTS.get(name, ()), fetch=False)
        except (ProfileError, WeightsError):  # not there: the proposal's network stands for it
            continue
        if (folder / configuration).is_file():
            found[name] = folder
    return found
