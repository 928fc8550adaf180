"""Typed configurations of training and their JSON: what is written reads back equal, and an unknown key is refused."""

import dataclasses
import hashlib
import json
import types
import typing
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar

T = TypeVar("T")


class ConfigError(ValueError):
    """A training configuration that cannot be used."""


@dataclass(frozen=True)
class LoopConfig:
    """How the one loop trains, whatever it trains."""

    steps: int = 400
    """Optimizer steps."""
    batch: int = 16
    """Clips a forward pass."""
    accumulation: int = 1
    """Forward passes a step; gradients are clipped once a step."""
    learning_rate: float = 5e-4
    """Highest rate, reached after the warm-up."""
    final_rate: float = 0.05
    """Last rate as a fraction of the highest; a cosine leads there."""
    warmup: int = 20
    """Steps of linear warm-up."""
    weight_decay: float = 0.01
    """Of matrices only: never of norms, biases, gates, embeddings."""
    clip: float = 1.0
    """Largest gradient norm."""
    ema: float = 0.98
    """Decay of the averaged weights, shorter at the start; 0 keeps none."""
    precision: Literal["fp32", "bf16"] = "fp32"
    device: str = "cpu"
    seed: int = 0
    """Of the initial random state, of the batch order and of the noise."""
    checkpoint_every: int = 100
    """Steps between checkpoints; the last step always has one."""
    keep: int = 2
    """Checkpoints that stay on disk."""
    readers: int = 1
    """Threads that read batches, and how many batches ahead; with 0 a batch is read when it is needed. No number but
    the time depends on it."""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.accumulation, self.checkpoint_every, self.keep) < 1:
            raise ConfigError("loop: steps, batch, accumulation, checkpoint_every and keep must be at least 1")
        if self.readers < 0:
            raise ConfigError(f"loop: readers={self.readers} must be at least 0; 0 reads without threads")
        if not 0 <= self.ema < 1 or self.clip <= 0 or self.warmup < 0:
            raise ConfigError(
                f"loop: needs 0 <= ema={self.ema} < 1, clip={self.clip} > 0 and warmup={self.warmup} >= 0"
            )


def to_json(config: Any) -> str:
    """A configuration as JSON text."""
    return json.dumps(dataclasses.asdict(config), indent=2, sort_keys=True)


def from_json(kind: type[T], text: str) -> T:
    """The configuration that `to_json` wrote.

    Raises:
        ConfigError: a key is unknown or missing.
    """
    return from_document(kind, json.loads(text))


def from_document(kind: type[T], document: dict[str, Any]) -> T:
    """As `from_json`, of parsed JSON."""
    return _build(kind, document, kind.__name__)


def fingerprint(document: dict[str, Any]) -> str:
    """sha256 of a JSON document, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _build(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        return None if value is None else _build(options[0], value, where)
    if origin is tuple:
        return tuple(value)
    if not is_dataclass(kind):
        return value
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(value) - {field.name for field in fields(kind)})
    if unknown:
        raise ConfigError(f"{where}: unknown key {', '.join(unknown)}; one of {', '.join(hints)}")
    try:
        return typing.cast(Any, kind)(**{k: _build(hints[k], v, f"{where}.{k}") for k, v in value.items()})
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error
