"""Audit documents in which every claim holds, to be spoilt one thing at a time. Their numbers are made up."""

from __future__ import annotations

from typing import Any

from orchestration.experiments.declaration import load
from orchestration.experiments.documents import PremiseDocument

DECLARATION = load()
IOU = {
    "qwen_postmerge": 0.10,
    "qwen_premerge": 0.15,
    "qwen_premerge_as_returned": 0.05,
    "dinov2": 0.60,
    "mobile_sam": 0.55,
}
WEIGHTS = {"qwen": "aa", "dinov2": "bb", "vae": "cc", "mobile_sam": "dd"}


def metric(value: float | None, half: float = 0.02, n: int = 64) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - half, value + half)
    return {"value": value, "low": low, "high": high, "n": n, "protocol": "test"}


def null(mean: float) -> dict[str, Any]:
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "draws": 20}


def cka_row(form: str, n: int, value: float, p: float = 0.005, half: float = 0.02) -> dict[str, Any]:
    nulls = {"permuted": null(0.0), "gaussian": null(0.3), "gaussian_proposed": null(0.5)}
    return {"form": form, "n": n, "cka": metric(value, half, n), "p": p, **nulls}


def audit(
    iou: dict[str, Any] | None = None,
    half: float = 0.02,
    n: int = 64,
    cka: list[dict[str, Any]] | None = None,
    **changes: Any,
) -> PremiseDocument:
    """An audit on real weights; `iou` changes values by encoder, `half` the intervals' half width."""
    values = IOU | (iou or {})
    rows = [cka_row("unbiased", 64, 0.2), cka_row("unbiased", 1024, 0.2), cka_row("biased", 64, 0.7)]
    document = {
        "schema": "foresight.premise/1",
        "declaration_sha256": DECLARATION.sha256,
        "profile": "a100",
        "standins": False,
        "dataset": "moving_shapes",
        "data_version": "data-1",
        "code_commit": "c0ffee",
        "weights": WEIGHTS,
        "runs": {"parent": "run-1"},
        "n_train": 160,
        "n_clips": n,
        "frames": 1,
        "mobile_sam_px": 256,
        "dims": (160, 64),
        "localisation": {
            name: {
                "standin": False,
                "weights_sha256": "aa",
                "grid": (8, 8),
                "dim": 16,
                "bbox_iou": metric(value, half, n),
                "map50": metric(value, half, n),
            }
            for name, value in values.items()
        },
        "differences": [
            {
                "first": first,
                "second": second,
                "bbox_iou": metric(values[first] - values[second], half, n),
                "map50": metric(values[first] - values[second], half, n),
            }
            for first, second in DECLARATION.localisation.differences
        ],
        "alignment": rows if cka is None else cka,
    }
    return PremiseDocument.model_validate(document | changes)
