"""The routed system against the hybrid for every clip, the VLM alone for every clip, and chance: on the same clips."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation.metric import bootstrap, paired_difference
from models.studies.router import neediest
from orchestration.documents import MetricValue
from orchestration.studies.paired import said
from orchestration.studies.router import ARMS, ROUTER, plain
from orchestration.studies.study import Analysis, Measured, Table

LPIPS = "LPIPS (alex) of decoded frames"
RIGHT = "spatial-critical or not, told from the VLM's tokens"
HALF = 0.5


def analyse(margin: float, shares: Sequence[float], measured: Mapping[str, Measured], seed: int) -> Analysis:
    """Values for the rule, the table of ways, and the curve; nothing where a cell is missing."""
    if not {*ARMS, ROUTER} <= measured.keys():
        return Analysis({}, (), {})
    cells: Mapping[str, Any] = measured
    expected_by_clip = cells[ROUTER]["by_clip"]["expected_gain"]
    clips = sorted(expected_by_clip)
    expected = np.array([expected_by_clip[clip] for clip in clips])
    hybrid, alone = (np.array([cells[arm]["by_clip"]["lpips"][clip] for clip in clips], float) for arm in ARMS)
    gflop = {arm: cells[arm]["numbers"]["flops"] / 1e9 for arm in ARMS}
    critical, sent = alone - hybrid > margin, expected > margin
    majority = np.full(len(clips), cells[ROUTER]["numbers"]["train_critical"] > HALF)

    def lpips(sent: np.ndarray) -> np.ndarray:
        return np.where(sent, hybrid, alone)

    def cost(sent: np.ndarray) -> np.ndarray:
        return np.where(sent, *(gflop[arm] for arm in ARMS))

    def by_chance(share: float) -> np.ndarray:
        """What each clip scores on average when a share of clips is drawn."""
        return share * hybrid + (1 - share) * alone

    right, named = (guess == critical for guess in (sent, majority))
    half, every = neediest(expected, HALF), np.ones(len(clips), bool)
    metrics = {
        "right": bootstrap(right.astype(float), seed, RIGHT, proportion=True),
        "majority": bootstrap(named.astype(float), seed, RIGHT, proportion=True),
        "right_less_majority": paired_difference(right, named, seed, RIGHT, proportion=True),
        "critical": bootstrap(
            critical.astype(float), seed, "share of clips that are spatial-critical", proportion=True
        ),
        "sent": bootstrap(sent.astype(float), seed, "share of clips that the router sends on", proportion=True),
        "routed_lpips": bootstrap(lpips(sent), seed, LPIPS),
        "hybrid_lpips": bootstrap(hybrid, seed, LPIPS),
        "vlm_only_lpips": bootstrap(alone, seed, LPIPS),
        "routed_less_hybrid_lpips": paired_difference(lpips(sent), hybrid, seed, LPIPS),
        "routed_less_vlm_only_lpips": paired_difference(lpips(sent), alone, seed, LPIPS),
        "half_less_chance_lpips": paired_difference(lpips(half), by_chance(HALF), seed, LPIPS),
        "routed_less_hybrid_gflop": paired_difference(cost(sent), cost(every), seed, "GFLOP of a clip, with encoders"),
    }
    curve = [_point(share, lpips(neediest(expected, share)), by_chance(share), seed) for share in (0, *shares, 1)]
    series = {
        "curve": curve,
        "routed": {"share": float(sent.mean()), "lpips": float(lpips(sent).mean())},
        "best": plain([lpips(neediest(alone - hybrid, share)).mean() for share in (0, *shares, 1)]),
        "gflop": gflop,
    }
    values = {name: MetricValue.model_validate(metric.document()) for name, metric in metrics.items()}
    ways = [("hybrid for every clip", every), ("VLM alone for every clip", ~every), ("routed", sent)]
    rows = tuple((way, f"{lpips(one).mean():.3f}", f"{cost(one).mean():.3g}", f"{one.mean():.0%}") for way, one in ways)
    columns = ("way", "LPIPS", "GFLOP of a clip", "clips that the hybrid gets")
    return Analysis(values, (Table("The three ways, on the same held-out clips", columns, rows),), series)


def finding(margin: float, analysis: Analysis) -> str:
    """What the numbers say."""
    if not analysis.values:
        return "Not every cell was measured, so nothing is said."
    told = {name: said(value) for name, value in analysis.values.items()}
    return (
        f"On {told['critical']} of the held-out clips the VLM alone gives away more than {margin:g} of LPIPS. The "
        f"router is right on {told['right']}; naming the commoner kind for every clip is on {told['majority']}. It "
        f"sends {told['sent']} of the clips to the hybrid. Less the hybrid for every clip, its LPIPS is "
        f"{told['routed_less_hybrid_lpips']} and its cost {told['routed_less_hybrid_gflop']} GFLOP a clip. With the "
        f"hybrid for half of the clips, chosen by it less by chance, LPIPS is {told['half_less_chance_lpips']}."
    )


def _point(share: float, routed: np.ndarray, chance: np.ndarray, seed: int) -> dict[str, Any]:
    found = bootstrap(routed, seed, LPIPS)
    return {
        "share": float(share),
        "lpips": found.value,
        "low": found.low,
        "high": found.high,
        "chance": float(chance.mean()),
    }
