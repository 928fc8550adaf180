"""What each cell of the premise audit measures: Q2's probe on one representation, Q1's CKA (design §4.10).

A cell is plain JSON types, per-clip values and draws included, so that differences are paired later without measuring
again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation import cka
from models.evaluation.localisation import Localisation, box_iou_gain, localise, map50_gain
from models.evaluation.metric import Metric
from orchestration.experiments.declaration import AlignmentPlan, Encoder
from orchestration.stages.inputs import Inputs
from orchestration.stages.premise_tokens import PremiseTokens

Cell = dict[str, Any]
HERE = "orchestration/stages/premise_cells.py"
PROBE = (HERE, *(f"models/evaluation/{part}.py" for part in ("boxes", "detection", "localisation", "metric")))
CKA = (HERE, *(f"models/evaluation/{part}.py" for part in ("cka", "metric")))
"""The code that each kind of cell depends on."""


def probe(tokens: PremiseTokens, encoder: Encoder, size: int, seed: int) -> Cell:
    """Q2's probe on one representation of square frames of `size` pixels."""
    seen = tokens.read(encoder)
    train, heldout = tokens.boxes("train"), tokens.boxes("heldout")
    found = localise(seen.train, train, seen.heldout, heldout, seen.grid, (size, size), seed=seed)
    return {
        "standin": seen.standin,
        "weights_sha256": seen.weights_sha256,
        "grid": list(seen.grid),
        "dim": seen.train.shape[-1],
        "bbox_iou": found.bbox_iou(seed).document(),
        "map50": found.map50.document(),
        "box_iou_by_clip": _plain(found.box_iou),
        "map50_draws": _plain(found.map50_draws),
    }


def differences(read: Mapping[Encoder, Cell], pairs: Sequence[Sequence[Encoder]], seed: int) -> Iterator[Cell]:
    """First less second, clip by clip, of every pair; none where nothing was read."""
    found = {name: _localisation(cell) for name, cell in read.items()}
    for first, second in pairs if found else ():
        pair = found[first], found[second]
        yield {
            "first": first,
            "second": second,
            "bbox_iou": box_iou_gain(*pair, seed).document(),
            "map50": map50_gain(*pair).document(),
        }


def alignment(inputs: Inputs, plan: AlignmentPlan, seed: int, batch: int, reporter: Any) -> Cell:
    """Q1's CKA in both forms, with its nulls, at every n that the clips allow."""
    first, second = _sides(inputs, max(plan.n), seed, batch)
    sizes = sorted({min(n, len(first)) for n in plan.n if min(n, len(first)) >= cka.SMALLEST})
    rows: list[Cell] = []
    for done, n in enumerate(sizes):
        rows += _rows(first[:n], second[:n], plan, seed)
        reporter("alignment", done + 1, len(sizes), {"n": float(n)})
    standin = any(inputs.store(name).store.standin for name in ("qwen", "latents"))
    return {"rows": rows, "dims": [first.shape[1], second.shape[1]], "standin": standin}


def _rows(first: np.ndarray, second: np.ndarray, plan: AlignmentPlan, seed: int) -> Iterator[Cell]:
    n, widths = len(first), ((first.shape[1], second.shape[1]), (plan.widths.vlm, plan.widths.latents))
    here, proposed = (cka.gaussian_null(n, dims, plan.gaussians, seed) for dims in widths)
    for form in ("unbiased", "biased"):
        permuted = cka.permutation_null(first, second, plan.permutations, seed, form)
        value = cka.judged(first, second, permuted, form)
        yield {
            "form": form,
            "n": n,
            "cka": value.document(),
            "p": None if value.value is None else cka.chance(value.value, permuted),
            "permuted": _null(permuted),
            "gaussian": _null(here[form]),
            "gaussian_proposed": _null(proposed[form]),
        }


def _sides(inputs: Inputs, most: int, seed: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """One vector a clip and side, of clips in a seeded order: means over tokens, and over positions of latents."""
    ids = inputs.shards.ids()
    chosen = [ids[k] for k in np.random.default_rng(seed).permutation(len(ids))[:most]]
    tokens, latents = inputs.store("qwen"), inputs.store("latents")
    parts = [chosen[start : start + batch] for start in range(0, len(chosen), batch)]
    first = [tokens.read(some).astype(np.float32).mean((1, 2)) for some in parts]
    second = [latents.read(some, "latents").astype(np.float32).mean((2, 3, 4)) for some in parts]
    return np.concatenate(first), np.concatenate(second)


def _localisation(cell: Cell) -> Localisation:
    values, draws = (np.array(cell[name], dtype=float) for name in ("box_iou_by_clip", "map50_draws"))
    return Localisation(values, Metric(**cell["map50"]), draws)


def _null(draws: np.ndarray) -> Cell:
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return {"mean": None, "low": None, "high": None, "draws": 0}
    low, high = np.quantile(defined, [0.025, 0.975])
    return {"mean": float(defined.mean()), "low": float(low), "high": float(high), "draws": len(defined)}


def _plain(values: np.ndarray) -> list[float | None]:
    """As JSON has them: what is undefined is null."""
    return [float(value) if np.isfinite(value) else None for value in values]
