"""C2's numbers as tables: what each factor changes, and what each variant costs."""

from collections.abc import Sequence
from typing import Any

from orchestration.studies.study import Table

Row = dict[str, Any]
Words = tuple[str, ...]
HEADS = {
    "latent": "latent error",
    "lpips": "LPIPS",
    "caption": "caption error",
    "misordered": "misordered",
    "misdirected": "misdirected",
    "drawn": "latent error as drawn",
    "drawn_lpips": "LPIPS as drawn",
}
FACTORS = {
    "stream": "Streams",
    "fusion": "Fusions",
    "query": "Queries",
    "encoder": "Spatial encoders",
    "size": "Sizes",
    "routes": "Conditioning routes",
}


def tables(rows: Sequence[Row]) -> tuple[Table, ...]:
    """One a factor, of what its variants are less the default; then the costs."""
    by_factor = [[row for row in rows if row["factor"] == factor and row["variant"] != "default"] for factor in FACTORS]
    effects = [_effects(title, some) for title, some in zip(FACTORS.values(), by_factor, strict=True) if some]
    return (*effects, _costs([row for row in rows if "flops" in row]))


def label(row: Row) -> str:
    """A variant's name, with what must be said of it."""
    mark = " (untrained)" if row["untrained"] else " (stand-in)" if row["standin"] else ""
    return f"{row['variant']}{mark}"


def _effects(title: str, rows: Sequence[Row]) -> Table:
    errors = [name for name in HEADS if all(name in row["less_default"] for row in rows)]
    made: list[Words] = []
    for row in rows:
        differences = [_interval(row["less_default"][name]) for name in errors]
        seeds = ", ".join("undefined" if value is None else f"{value:+.3f}" for value in row["seeds"][errors[0]])
        made.append((label(row), *differences, seeds))
    columns = ("variant", *(HEADS[name] for name in errors), f"{HEADS[errors[0]]} by seed")
    return Table(f"{title}: error less the default's, on the same clips (below 0: better)", columns, tuple(made))


def _costs(rows: Sequence[Row]) -> Table:
    made = tuple(
        (
            label(row),
            f"{row['errors']['latent']['value']:.3f}",
            f"{row['parameters']:,.0f}",
            f"{row['tokens']:.0f}",
            f"{row['fusion_flops'] / 1e9:.3g}",
            f"{row['flops'] / 1e9:.3g}",
            f"{row['seconds_per_step']:.3f}",
            "yes" if row["on_front"] else "",
        )
        for row in rows
    )
    columns = ("variant", "latent error", "trainable", "tokens", "GFLOP of the fusion", "with its encoders")
    return Table("Quality beside cost, of a clip", (*columns, "s a step", "Pareto front"), made)


def _interval(found: dict[str, float | None]) -> str:
    value, low, high = (found[end] for end in ("value", "low", "high"))
    if value is None:
        return "undefined"
    return f"{value:+.3f}" if low is None or high is None else f"{value:+.3f} ({low:+.3f} .. {high:+.3f})"
