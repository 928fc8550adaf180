"""What the VLM says of clips and sees in them, beyond the likeness of captions: order and direction in its words, the
content that a probe finds in its tokens, and whether its captions can be believed at all (design §6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation import content, order, semantic, spoken
from models.evaluation.probes import pool
from orchestration.stages.generation import Made
from orchestration.stages.inputs import Inputs
from orchestration.stages.measures import directions

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Said:
    """The VLM's captions of the same held-out clips."""

    true: list[str]
    """Of the true clips."""
    generated: Mapping[str, list[str]]
    """Of every arm's and every baseline's."""
    embedder: semantic.SentenceEmbedder


def measured(
    inputs: Inputs, train: Sequence[str], ids: Sequence[str], made: Made, said: Said, main: str
) -> tuple[dict[str, Values], dict[str, str]]:
    """Per-clip values by arm and baseline, and their protocols; what the data set knows nothing of is left out."""
    found: dict[str, Values] = {name: {} for name in said.generated}
    protocols: dict[str, str] = {}
    for values, texts in (
        _spoken(inputs, train, ids, said),
        _content(inputs, train, ids, made),
        _believed(inputs, ids, said, main),
    ):
        for name, more in values.items():
            found[name] |= more
        protocols |= texts
    return found, protocols


def _spoken(
    inputs: Inputs, train: Sequence[str], ids: Sequence[str], said: Said
) -> tuple[dict[str, Values], dict[str, str]]:
    """Direction and ordering as the captions name them; the captions of the true clips are the ceiling."""
    truth = directions(inputs, ids)
    words = sorted({word for pair in directions(inputs, train or ids) if pair for word in pair})
    if not any(truth):
        return {}, {}
    best = spoken.read_captions(said.true, truth, words)
    ceiling = {"direction_caption_ceiling": best.direction, "temporal_ordering_caption_ceiling": best.ordering}
    values = {
        name: spoken.read_captions(captions, truth, words).values("_caption") | ceiling
        for name, captions in said.generated.items()
    }
    texts = {
        "direction_caption": spoken.DIRECTION_PROTOCOL.format(len(words)),
        "temporal_ordering_caption": spoken.ORDERING_PROTOCOL,
    }
    ceilings = {f"{name}_ceiling": f"{text}; captions of the true clips" for name, text in texts.items()}
    return values, texts | ceilings | order.beside(*texts)


def _content(
    inputs: Inputs, train: Sequence[str], ids: Sequence[str], made: Made
) -> tuple[dict[str, Values], dict[str, str]]:
    """Content that a probe finds in the VLM's tokens of every arm's clips; those of the true clips are the ceiling."""
    told, heldout = inputs.told(train), inputs.told(ids)
    if not train or told is None or heldout is None or not content.telling(told):
        return {}, {}
    store = inputs.store("qwen")
    places = store.read(ids[:1], "positions")
    probe = content.ContentProbe.fit(pool(store.read(train), places), told)
    ceiling = probe.read(pool(store.read(ids), places), heldout)
    values = {
        name: {
            "semantic_consistency_probe": probe.read(pool(inputs.seen(clips), places), heldout),
            "semantic_consistency_probe_ceiling": ceiling,
        }
        for name, clips in made.arms.items()
    }
    text = f"{content.PROTOCOL}, {len(probe.words)} words"
    return values, {
        "semantic_consistency_probe": text,
        "semantic_consistency_probe_ceiling": f"{text}; tokens of the true clips",
    }


def _believed(inputs: Inputs, ids: Sequence[str], said: Said, main: str) -> tuple[dict[str, Values], dict[str, str]]:
    """Whether captions of true clips tell them apart: their likeness to the data set's captions, against shuffled."""
    told = inputs.told(ids)
    if told is None:
        return {}, {}
    spoken_of, known = said.embedder.embed(said.true), said.embedder.embed(told)
    name, text = "semantic_consistency_true", "cosine of the VLM's caption of the true clip and the data set's caption"
    values = semantic.consistency(spoken_of, known, name)
    return {main: values}, {name: text} | semantic.beside(name)
