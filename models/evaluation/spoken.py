"""What the VLM's captions say of direction and order: does the caption name what the clip shows (§6)?

Protocol: the first two direction words of the caption, whole words in any case, are its reading of the two halves; the
words are those the train clips' directions use. Judged as `models.evaluation.order` says, chance and shuffled baseline
included. A caption without such a word names no direction, which is wrong, and no order, which counts half.
"""

import re
from collections.abc import Sequence

import numpy as np

from models.evaluation.order import Directions, Reading, judge

DIRECTION_PROTOCOL = "the VLM's caption of the clip names the first direction first, chance 1 of {} words"
ORDERING_PROTOCOL = "the VLM's caption of the clip names the two directions in their order, chance 0.5"


def read_captions(captions: Sequence[str | None], directions: Directions, words: Sequence[str]) -> Reading:
    """Captions of N clips, held against the directions of the same clips."""
    halves = np.zeros((2, len(captions), len(words)))
    for clip, caption in enumerate(captions):
        for half, word in enumerate(named(caption or "", words)[:2]):
            halves[half, clip, list(words).index(word)] = 1
    return judge(words, halves[0], halves[1], directions)


def named(caption: str, words: Sequence[str]) -> list[str]:
    """The words that a caption names, in its order."""
    known = {word.casefold(): word for word in words}
    return [known[found] for found in re.findall(r"\w+", caption.casefold()) if found in known]
