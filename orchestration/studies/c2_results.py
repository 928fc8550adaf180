"""C2's measured cells as errors that are paired by clip and by seed.

A difference is taken on the same clips in every seed by itself. Its value is the mean over seeds, and its interval
holds the interval of every seed: what is not so with each of them is open.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.evaluation.metric import Metric, bootstrap, paired_difference
from orchestration.studies.c2 import named
from orchestration.studies.paired import over_seeds
from orchestration.studies.study import Measured

Variant = tuple[str, str]
"""Factor and name."""
PROTOCOLS = {
    "latent": "mean squared error of normalised latents",
    "lpips": "LPIPS (alex) of decoded frames",
    "caption": "1 - cosine of caption tokens plus their squared error over the captions' mean square",
    "misordered": "temporal probe on pooled conditioning, order of two directions wrong, chance 0.5",
    "misdirected": "temporal probe on pooled conditioning, first direction wrong, chance 0.75",
    "drawn": "mean squared error of latents that LTX drew",
    "drawn_lpips": "LPIPS (alex) of frames that LTX drew",
}
"""Every error that is compared, in the order in which they are shown."""
PROPORTIONS = ("misordered", "misdirected")


class Results:
    """The cells of the trainings, read by variant."""

    def __init__(self, measured: Mapping[str, Measured], seeds: Sequence[int], seed: int) -> None:
        """`seeds` are those of the trainings, `seed` that of the bootstrap."""
        self.measured, self.seeds, self.seed = measured, list(seeds), seed

    def there(self, variant: Variant) -> bool:
        """Whether every seed of it was measured."""
        return all(named(*variant, seed) in self.measured for seed in self.seeds)

    def errors(self, first: Variant, second: Variant) -> list[str]:
        """What both were measured in, with every seed."""
        cells = [self._cell(variant, seed) for variant in (first, second) for seed in self.seeds]
        return [name for name in PROTOCOLS if all(name in cell["by_clip"] for cell in cells)]

    def value(self, variant: Variant, error: str) -> Metric:
        """Its error on held-out clips."""
        return over_seeds(self.values(variant, error), PROTOCOLS[error])

    def values(self, variant: Variant, error: str) -> list[Metric]:
        """The same of each seed by itself."""
        clips = [np.array(list(self._by_clip(variant, seed, error).values()), float) for seed in self.seeds]
        return [bootstrap(values, self.seed, proportion=error in PROPORTIONS) for values in clips]

    def difference(self, first: Variant, second: Variant, error: str) -> Metric:
        """The first's error less the second's, of equal seeds on equal clips."""
        return over_seeds(self.by_seed(first, second, error), f"paired over clips: {PROTOCOLS[error]}")

    def by_seed(self, first: Variant, second: Variant, error: str) -> list[Metric]:
        """The same of each seed by itself."""
        return [
            self._paired(self._by_clip(first, seed, error), self._by_clip(second, seed, error), error)
            for seed in self.seeds
        ]

    def less_shuffled(self, variant: Variant) -> Metric:
        """Its latent error less that under another clip's conditioning."""
        found = []
        for seed in self.seeds:
            own, other = (self._by_clip(variant, seed, name) for name in ("latent", "latent_shuffled"))
            found.append(self._paired(own, other, "latent"))
        return over_seeds(found, f"paired over clips: {PROTOCOLS['latent']}")

    def number(self, variant: Variant, name: str) -> float:
        """The mean over seeds of a number that has no clips."""
        return float(np.mean([self._cell(variant, seed)["numbers"][name] for seed in self.seeds]))

    def standin(self, variant: Variant) -> bool:
        """Whether it rests on stand-ins."""
        return any(self._cell(variant, seed)["standin"] for seed in self.seeds)

    def encoder(self, name: str) -> Any:
        """The cell of an encoder."""
        return self.measured[f"encoder-{name}"]

    def _paired(self, first: Mapping[str, Any], second: Mapping[str, Any], error: str) -> Metric:
        clips = sorted(first.keys() & second.keys())
        one, other = (np.array([side[clip] for clip in clips], float) for side in (first, second))
        return paired_difference(one, other, self.seed, proportion=error in PROPORTIONS)

    def _cell(self, variant: Variant, seed: int) -> Any:
        return self.measured[named(*variant, seed)]

    def _by_clip(self, variant: Variant, seed: int, error: str) -> dict[str, float | None]:
        return self._cell(variant, seed)["by_clip"][error]
