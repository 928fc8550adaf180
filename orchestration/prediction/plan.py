"""Which network of a profile would lie where (§3.1), without loading any: sizes traced on the meta device."""

import os
import warnings
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from orchestration.documents import Document
from orchestration.plan.programme import load as programme
from orchestration.profile import Profile

if TYPE_CHECKING:
    from models.predict.placement import Device, Load

GB = 10**9


class DevicesError(ValueError):
    """Devices that were not given as sizes in GB, or that are not there."""


class Placed(Document):
    """One network."""

    name: str
    weights_gb: float
    work_gb: float = Field(description="what its call needs beside all weights, at the peak")


class OnDevice(Document):
    """One device and what lies on it."""

    device: str
    capacity_gb: float
    needed_gb: float = Field(description="at the peak, with what is kept free for the driver")
    networks: list[Placed]


class Placement(Document):
    """Of a profile's pipeline on given devices."""

    schema_: Literal["foresight.placement/1"] = Field(default="foresight.placement/1", alias="schema")
    profile: str
    standins: bool
    precision: str
    devices: list[OnDevice]
    notes: list[str]


def devices_of(given: str, profile: Profile) -> "list[Device]":
    """Devices of the sizes in `given` ("40" or "24,24", in GB), else this machine's: its GPUs, or its memory.

    Raises:
        DevicesError: no sizes, or the profile wants a GPU and there is none.
    """
    from models.predict.placement import Device

    kind = profile.device
    if given:
        try:
            sizes = [float(size) for size in given.split(",")]
        except ValueError:
            sizes = []
        if not sizes or min(sizes) <= 0:
            raise DevicesError(f"--devices {given!r}: give sizes in GB, as 40 or 24,24")
        return [Device(f"{kind}:{number}", round(size * GB)) for number, size in enumerate(sizes)]
    if kind == "cpu":
        return [Device("cpu", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    import torch

    if not torch.cuda.is_available():
        raise DevicesError(f"profile {profile.name} computes on a GPU and there is none; give --devices 40 or 24,24")
    found = (torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count()))
    return [Device(f"cuda:{number}", one.total_memory) for number, one in enumerate(found)]


def loads(profile: Profile, devices: "list[Device]") -> "list[Load]":
    """The networks of a profile's pipeline on the devices.

    Raises:
        PlacementError: they do not fit (exit 3).
        GeometryError: the clips do not fit the networks.
    """
    from models.describe.inference import inference
    from models.describe.networks import networks
    from models.predict.placement import place
    from orchestration.system import fusion_budget
    from orchestration.system.description import plan_of

    geometry = fusion_budget.geometry_of(profile)
    geometry.require_fit(profile.clips.frames, profile.clips.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of kernels that a trace would not have taken anyway
        found = networks(fusion_budget.folders_of(profile))
        return place(inference(plan_of(profile, fusion_budget.fusion_of(profile, geometry)), found), devices)


def document(profile: Profile, placed: "list[Load]") -> Placement:
    """A placement as it is printed."""
    over = programme().budget.vram_gb.inference
    needed = sum(one.needed for one in placed) / GB
    return Placement(
        profile=profile.name,
        standins=profile.standins,
        precision="bf16" if profile.device == "cuda" else "fp32",
        devices=[
            OnDevice(
                device=one.device.name,
                capacity_gb=one.device.capacity / GB,
                needed_gb=one.needed / GB if one.parts else 0.0,
                networks=[
                    Placed(name=name, weights_gb=part.weights / GB, work_gb=part.work / GB)
                    for name, part in one.parts.items()
                ],
            )
            for one in placed
        ],
        notes=[
            "weights are exact, work is traced on tensors without memory; 1 GB a device is the driver's, 5% stays free",
            f"{needed:.1f} GB in all; §3.1 names {over:g} GB for inference",
            "not counted: Qwen's vision tower at work (its weights are), the network that verifies",
        ],
    )
