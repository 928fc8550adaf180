"""C2 drawn: what each factor changes, quality against cost, and the scaling study."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestration.report import palette
from orchestration.report.figures.canvas import heading, png, sheet
from orchestration.studies.c2_tables import FACTORS, HEADS, Row, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = dict(zip(FACTORS, (palette.SERIES["dino_only"], *palette.OTHERS[1:]), strict=True))


def figures(series: Mapping[str, Any]) -> dict[str, bytes]:
    """`effects`, `pareto` and, where a size was varied, `scaling`; none where nothing was measured."""
    rows: list[Row] = series["variants"]
    if not rows:
        return {}
    drawn = {"effects": effects(rows), "pareto": pareto(rows)}
    return drawn | ({"scaling": scaling(rows)} if series["largest"] else {})


def effects(rows: Sequence[Row]) -> bytes:
    """A line a variant: its error less the default's, each seed a dot; two errors side by side."""
    shown = [row for factor in FACTORS for row in rows if row["factor"] == factor and row["variant"] != "default"]
    figure, [panels] = sheet(0.7 + 0.185 * len(shown), 1, 2)
    for axes, (fused, routed) in zip(panels, (("latent", "drawn"), ("lpips", "drawn_lpips")), strict=True):
        axes.axvline(0, color=palette.MUTED, linewidth=0.8)
        for y, row in enumerate(shown):
            error = routed if row["factor"] == "routes" else fused
            _effect(axes, y, row["less_default"][error], row["seeds"][error], COLOURS[row["factor"]])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_yticks([])
        axes.grid(axis="x", color=palette.RULE, linewidth=0.6)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.06)
        heading(axes, f"{HEADS[fused][0].upper()}{HEADS[fused][1:]}, less the default's (← better)")
    panels[0].set_yticks(range(len(shown)), [f"{row['factor']}: {label(row)}" for row in shown])
    panels[0].tick_params(axis="y", labelcolor=palette.INK, labelsize=6.5)
    return png(figure)


def _effect(axes: "Axes", y: int, found: Mapping[str, Any], seeds: Sequence[float | None], colour: str) -> None:
    if found["value"] is None:
        return
    if found["low"] is not None:
        axes.plot([found["low"], found["high"]], [y, y], color=colour, linewidth=1.8, alpha=0.75)
    there = [value for value in seeds if value is not None]
    axes.plot(there, [y] * len(there), "|", color=colour, markersize=5, markeredgewidth=0.8)
    axes.plot(found["value"], y, "o", color=colour, markersize=4)


def pareto(rows: Sequence[Row]) -> bytes:
    """Latent error against the FLOPs of a clip, encoders included; the front joined, its variants named."""
    figure, [[axes]] = sheet(3.4)
    fused = [row for row in rows if "flops" in row]
    for factor in FACTORS:
        some = [row for row in fused if row["factor"] == factor and row["variant"] != "default"]
        for row in some:
            axes.plot(*_points([row]), "o", color=COLOURS[factor], markersize=5, fillstyle=_fill(row))
        if some:
            axes.plot([], [], "o", color=COLOURS[factor], markersize=5, label=FACTORS[factor])
    default = [row for row in fused if row["variant"] == "default"]
    axes.plot(*_points(default), "*", color=palette.INK, markersize=11, label="Default")
    front = sorted((row for row in fused if row["on_front"]), key=lambda row: row["flops"])
    axes.step(*_points(front), where="post", color=palette.MUTED, linewidth=1, zorder=1, label="Pareto front")
    for row in front:
        at = row["flops"] / 1e9, row["errors"]["latent"]["value"]
        axes.annotate(label(row), at, (-5, -8), textcoords="offset points", fontsize=6.5, ha="right")
    _log_ticks(axes, [row["flops"] / 1e9 for row in fused])
    axes.set_xlabel("GFLOP of a clip, encoders and fusion (log)")
    axes.set_ylabel("latent error, held-out")
    axes.grid(color=palette.RULE, linewidth=0.6)
    axes.legend(frameon=False, fontsize=6.5, loc="upper left", bbox_to_anchor=(1, 1))
    heading(axes, "Quality against cost (down and left: better; hollow: untrained)")
    return png(figure)


def scaling(rows: Sequence[Row]) -> bytes:
    """Errors against trainable parameters, each seed a dot."""
    figure, [panels] = sheet(2.6, 1, 2)
    sizes = [row for row in rows if row["factor"] == "size" or (row["variant"] == "default" and "flops" in row)]
    sizes.sort(key=lambda row: row["parameters"])
    for axes, error in zip(panels, ("latent", "lpips"), strict=True):
        x, values = [row["parameters"] / 1e6 for row in sizes], [row["errors"][error] for row in sizes]
        axes.plot(
            x, [one["value"] for one in values], "o-", color=palette.SERIES["hybrid"], markersize=4.5, linewidth=1
        )
        for at, one, row in zip(x, values, sizes, strict=True):
            axes.plot([at] * 2, [one["low"], one["high"]], color=palette.SERIES["hybrid"], linewidth=1.6, alpha=0.6)
            axes.plot([at] * len(row["of_seeds"][error]), row["of_seeds"][error], "_", color=palette.INK, markersize=6)
            axes.annotate(
                row["variant"], (at, one["high"]), (0, 3), textcoords="offset points", fontsize=6, ha="center"
            )
        _log_ticks(axes, x)
        axes.set_xlabel("trainable parameters, millions (log)")
        axes.margins(x=0.15, y=0.25)
        axes.grid(color=palette.RULE, linewidth=0.6)
        heading(axes, f"{HEADS[error][0].upper()}{HEADS[error][1:]} by fusion size")
    return png(figure)


def _fill(row: Row) -> Any:
    return "none" if row["untrained"] else "full"


def _log_ticks(axes: "Axes", values: Sequence[float]) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5 of each power of ten that the values span."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2.2, max(values) * 1.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _points(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    return [row["flops"] / 1e9 for row in rows], [row["errors"]["latent"]["value"] for row in rows]
