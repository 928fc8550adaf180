"""Which network lies on which device (§3.1): by their measured sizes, the largest first, each where it first fits.

A device holds its networks' weights, the most that one of them needs at work, and what the driver takes; a twentieth of
it stays free. The encoders work at the same time: where both lie on one device, their work adds up. Sizes are
`models.describe.inference`'s: parameters exact, work traced on tensors without memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.describe.inference import Part
from models.predict.pipeline import ENCODERS

GB = 10**9
DRIVER = GB
"""Bytes of each device: CUDA's context is about 0.5 GB, and kernels' workspaces need some that no trace sees."""
FILLED = 0.95
"""Share of a device that may be filled: a card shows programs a little less than is written on it, and an allocator
rounds up."""


class PlacementError(RuntimeError):
    """Networks that do not fit the devices; nothing was started (exit 3)."""

    exit_code = 3


@dataclass(frozen=True)
class Device:
    """A device, with what it is called in torch and how much it holds."""

    name: str
    capacity: int
    """bytes"""


@dataclass
class Load:
    """A device with its networks."""

    device: Device
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def needed(self) -> int:
        """Bytes at the peak, what the driver takes included."""
        together = sum(part.work for name, part in self.parts.items() if name in ENCODERS)
        alone = (part.work for name, part in self.parts.items() if name not in ENCODERS)
        return DRIVER + sum(part.weights for part in self.parts.values()) + max([together, *alone])

    @property
    def free(self) -> float:
        """Bytes that may still be filled."""
        return max(0.0, FILLED * self.device.capacity - self.needed)

    def fits(self, name: str, part: Part) -> bool:
        """Whether the network has room here beside the others."""
        return Load(self.device, {**self.parts, name: part}).needed <= FILLED * self.device.capacity


def place(parts: Mapping[str, Part], devices: Sequence[Device]) -> list[Load]:
    """Every network on a device: first fit, by decreasing weights and work.

    Raises:
        PlacementError: one fits nowhere; says how much it needs and what is free.
    """
    loads = [Load(device) for device in devices]
    for name, part in sorted(parts.items(), key=lambda item: (-(item[1].weights + item[1].work), item[0])):
        where = next((load for load in loads if load.fits(name, part)), None)
        if where is None:
            free = ", ".join(f"{one.device.name} {one.free / GB:.1f} GB" for one in loads)
            raise PlacementError(
                f"{name} needs {(part.weights + part.work) / GB:.1f} GB and fits nowhere (free: {free or 'none'}); "
                "use larger devices or more of them, or encoders in a smaller precision"
            )
        where.parts[name] = part
    return loads


def device_of(loads: Sequence[Load]) -> dict[str, str]:
    """Network -> torch's name of its device."""
    return {name: load.device.name for load in loads for name in load.parts}
