"""Semantic consistency: does the VLM say the same of the generated clip as of the true one (§6).

Protocol: cosine in [-1, 1] of sentence embeddings (all-MiniLM-L6-v2, mean pooling over tokens, normalised, 256 tokens
at most) of the captions of generated and true clip. Beside it the shuffled baseline: the mean cosine with the true
captions of all *other* clips, which is what shuffling gives on average. A model that says one thing of everything
scores the same in both: what counts is the difference, clip by clip, the lift.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models import weights
from models.evaluation.inputs import MetricInputError
from models.frozen import Frozen

PROTOCOL = "cosine of all-MiniLM-L6-v2 embeddings of the VLM's captions of generated and true clip"
MAX_TOKENS = 256


class SentenceEmbedder(Frozen):
    """all-MiniLM-L6-v2 from the weights cache."""

    standin = False

    def __init__(self):
        super().__init__()
        from transformers import AutoTokenizer, BertModel

        folder = weights.path("minilm")
        self.weights_sha256 = weights.sha256("minilm")
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = BertModel.from_pretrained(folder, local_files_only=True)
        self.freeze()

    @torch.no_grad()
    def embed(self, captions: Sequence[str | None], batch: int = 64) -> np.ndarray:
        """Unit vectors float32 [N, 384]; a missing or blank caption is NaN. Equal captions are embedded once."""
        distinct = sorted({caption for caption in captions if caption and caption.strip()})
        vectors: dict[str, np.ndarray] = {}
        for start in range(0, len(distinct), batch):
            part = distinct[start : start + batch]
            vectors.update(zip(part, self(part).numpy(), strict=True))
        undefined = np.full(self.model.config.hidden_size, np.nan, np.float32)
        return np.stack([vectors.get(caption or "", undefined) for caption in captions])

    def forward(self, captions: list[str]) -> Tensor:
        tokens = self.tokenizer(captions, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        seen = self.model(**tokens).last_hidden_state
        valid = tokens["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((seen * valid).sum(1) / valid.sum(1), dim=1)


def semantic_consistency(generated: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Cosine of each clip's two caption embeddings [N, D] -> float64 [N]."""
    _check(generated, true)
    return (generated.astype(np.float64) * true).sum(1)


def shuffled_consistency(generated: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean cosine of each generated clip's caption with the true captions of all other clips -> float64 [N]."""
    _check(generated, true)
    cosine = generated.astype(np.float64) @ true.T.astype(np.float64)
    np.fill_diagonal(cosine, np.nan)
    known = np.isfinite(cosine)
    return np.where(known, cosine, 0).sum(1) / np.where(known.any(1), known.sum(1), np.nan)


def consistency(generated: np.ndarray, true: np.ndarray, name: str = "semantic_consistency") -> dict[str, np.ndarray]:
    """Consistency, its shuffled baseline and the lift of the one over the other, per clip, by the document's names."""
    value, null = semantic_consistency(generated, true), shuffled_consistency(generated, true)
    return {name: value, f"{name}_null": null, f"{name}_lift": value - null}


def beside(name: str) -> dict[str, str]:
    """Protocols of what stands beside a consistency of this name."""
    return {
        f"{name}_null": "the same with the true captions of all other clips, mean",
        f"{name}_lift": "paired over clips: the clip's value less its shuffled baseline; a captioner that says one "
        "thing of everything has 0",
    }


def _check(generated: np.ndarray, true: np.ndarray) -> None:
    if generated.shape != true.shape:
        raise MetricInputError(f"captions: {len(generated)} of generated clips and {len(true)} of true ones")
