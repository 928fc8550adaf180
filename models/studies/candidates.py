"""Several ways to foretell one clip (§5.6, C4): what a predictor draws, and what needs no generator or no model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.decoder.sampling import SamplingConfig
from models.predict.sampling import Trained, condition, foretell
from models.studies.ways import Candidate
from models.training.data import TrainingData, read_batch
from models.training.horizon import copied, extrapolated, with_context
from models.training.prediction import at_full_length


@dataclass(frozen=True)
class Draws:
    """How candidates are drawn."""

    trained: Trained
    sampling: SamplingConfig
    seed: int
    batch: int

    def of(self, names: Sequence[Candidate], data: TrainingData, ids: Sequence[str]) -> dict[Candidate, Tensor]:
        """Normalised latents [N, C, T', h, w] of whole clips by candidate; those of the context are as they are.

        Args:
            data: tokens of the context frames alone, and latents.
        """
        whole, device = at_full_length(data, self.trained.fusion.config), self.trained.fusion.device
        noises = {name: torch.Generator().manual_seed(2 * self.seed + (name == "again")) for name in names}
        parts: dict[Candidate, list[Tensor]] = {name: [] for name in names}
        for start in range(0, len(ids), self.batch):
            read = read_batch(whole, ids[start : start + self.batch], arm="hybrid").to(device)
            known = read.latents[:, :, : self.trained.horizon.known]
            given = condition(self.trained, read.spatial, read.semantic)
            for name in names:
                if name in PLAIN:
                    made = PLAIN[name](_blank(read.latents, known), known.shape[2])
                elif name == "fusion":
                    made = with_context(given.latents(), known)
                else:
                    made = foretell(self.trained, given, known, self.sampling, noises[name])
                parts[name].append(made.float().cpu())
        return {name: torch.cat(some) for name, some in parts.items()}


PLAIN: dict[str, Callable[[Tensor, int], Tensor]] = {"still": copied, "onward": extrapolated}


def _blank(latents: Tensor, known: Tensor) -> Tensor:
    """Latents whose future is not there: a way that needs no model must not find it."""
    return torch.cat([known, torch.full_like(latents[:, :, known.shape[2] :], float("nan"))], dim=2)
