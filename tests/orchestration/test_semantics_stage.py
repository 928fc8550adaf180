"""What the VLM says and sees, under a perfect, a constant and a random captioner, up to the gate's word on each."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.data.moving_shapes import COLOURS, SHAPES, render_clip
from models.evaluation.metric import bootstrap
from models.evaluation.semantic import PROTOCOL, SentenceEmbedder, consistency
from orchestration.documents import parse_evaluation
from orchestration.gates import nulls
from orchestration.gates.gate import decide
from orchestration.plan.programme import load
from orchestration.stages.semantics import Said, measured
from tests.models.evaluation.conftest import fetched
from tests.orchestration.evaluations import document

TRAIN, HELDOUT = [f"t{k}" for k in range(120)], [f"h{k}" for k in range(40)]
CLIPS = {clip: render_clip(seed, frames=3, size=32) for seed, clip in enumerate([*TRAIN, *HELDOUT])}
TRUE = [CLIPS[clip].caption for clip in HELDOUT]
NAME = "semantic_consistency"


class Inputs:
    """Captions and directions of generated clips; the VLM's tokens say which colours and shapes a caption names."""

    def __init__(self) -> None:
        rows = [(clip, *CLIPS[clip].directions, CLIPS[clip].caption) for clip in CLIPS]
        index = pd.DataFrame(rows, columns=["clip_id", "direction_first", "direction_second", "caption"])
        self.shards = SimpleNamespace(index=index)

    def told(self, ids):
        return [CLIPS[clip].caption for clip in ids]

    def store(self, name):
        return SimpleNamespace(read=lambda ids, tensor="tokens": self._read(ids, tensor))

    def _read(self, ids, tensor):
        return np.full((2, 4, 2), 0.5, np.float32) if tensor == "positions" else tokens([CLIPS[c].caption for c in ids])

    def seen(self, frames):
        """The generated clips of this test hold nothing but the number of the clip that they show."""
        return tokens([TRUE[int(clip.flat[0])] for clip in frames])


def tokens(captions: list[str]) -> np.ndarray:
    words = [*COLOURS, *SHAPES]
    named = np.array([[word in caption.split() for word in words] for caption in captions], np.float32)
    noise = np.random.default_rng(0).normal(0, 0.1, (len(captions), 2, 4, len(words)))
    return (named[:, None, None] + noise).astype(np.float32)


def shown(order: np.ndarray) -> np.ndarray:
    return np.broadcast_to(order[:, None, None, None, None].astype(np.uint8), (len(order), 2, 1, 1, 3))


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    fetched("minilm")
    return SentenceEmbedder()


def look(embedder: SentenceEmbedder, true: list[str], generated: list[str]) -> tuple[dict[str, Any], Any]:
    """The metrics of a hybrid whose clips are the true ones, and the gate's row on semantic consistency."""
    right = np.arange(len(HELDOUT))
    made = SimpleNamespace(arms={"hybrid": shown(right), "vlm_only": shown(np.roll(right, 1))}, baselines={})
    said = Said(true, {"hybrid": generated, "vlm_only": generated}, embedder)
    found, protocols = measured(Inputs(), TRAIN, HELDOUT, made, said, "hybrid")  # type: ignore[arg-type]
    values = found["hybrid"] | consistency(embedder.embed(generated), embedder.embed(true))
    metrics = {name: bootstrap(value, protocol=protocols.get(name, PROTOCOL)) for name, value in values.items()}
    metrics["worst"] = bootstrap(found["vlm_only"]["semantic_consistency_probe"])
    given = {name: metric.document() for name, metric in metrics.items() if name != "worst"}
    decision = decide(load(), parse_evaluation(document(2, **given)))
    return metrics, next(row for row in decision.criteria if row.metric == NAME)


def test_a_perfect_captioner_is_believed_and_read(embedder):
    metrics, row = look(embedder, TRUE, TRUE)
    assert row.outcome == "GO"
    assert metrics["temporal_ordering_caption"].value == metrics["direction_caption_ceiling"].value == 1
    assert metrics["temporal_ordering_caption_lift"].low > 0.3
    assert "chance 1 of 4 words" in metrics["direction_caption"].protocol
    assert metrics[f"{NAME}_true_lift"].low > 0.1
    assert all(metric.protocol for name, metric in metrics.items() if name != "worst")


def test_a_constant_captioner_scores_as_useless_everywhere(embedder):
    same = TRUE[:1] * len(TRUE)
    metrics, row = look(embedder, same, same)
    assert metrics[NAME].value == pytest.approx(1)
    assert row.outcome == "INCONCLUSIVE"
    assert "useless" in row.why
    for name in (f"{NAME}_lift", f"{NAME}_true_lift", "temporal_ordering_caption_lift", "direction_caption_lift"):
        assert metrics[name].low <= nulls.NOTHING
        assert metrics[name].high >= -nulls.NOTHING


def test_a_random_captioner_scores_as_useless(embedder):
    draws = [np.random.default_rng(seed).permutation(len(TRUE)) for seed in (3, 4)]
    metrics, row = look(embedder, *([TRUE[k] for k in draw] for draw in draws))
    assert row.outcome == "INCONCLUSIVE"
    assert metrics[f"{NAME}_true_lift"].low < 0
    assert metrics["temporal_ordering_caption_lift"].low < 0


def test_the_probe_reads_the_content_whatever_the_captioner_says(embedder):
    metrics, _ = look(embedder, TRUE[:1] * len(TRUE), TRUE[:1] * len(TRUE))
    assert metrics[f"{NAME}_probe"].value > 0.95
    assert metrics[f"{NAME}_probe_ceiling"].value > 0.95
    assert metrics["worst"].value == pytest.approx(0.5, abs=0.1)
    assert "chance 0.5" in metrics[f"{NAME}_probe"].protocol
