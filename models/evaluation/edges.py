"""Edge F1: do the generated frames have their edges where the true ones have them (§6).

Protocol: thin edges by Canny on grey in [0, 1] (sigma 1, thresholds 0.1 and 0.2), each generated edge pixel matched to
at most one true one within 0.0075 of the frame's diagonal, at least 1 px (BSDS's tolerance); precision and recall over
all frames of a clip. 1 = all edges right. Undefined where neither clip has an edge.
"""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from skimage.color import rgb2gray
from skimage.feature import canny

from models.evaluation.inputs import MetricInputError, check_clips, distinct

PROTOCOL = "Canny sigma 1, one-to-one match within 0.0075 of the diagonal (at least 1 px), per clip over its frames"
TOLERANCE = 0.0075


def thin_edges(frames: np.ndarray) -> np.ndarray:
    """Edge pixels of clips uint8 [N, T, H, W, 3] -> bool [N, T, H, W]."""
    check_clips(frames, "edges")
    shown, places = distinct(frames)
    found = [canny(rgb2gray(frame), sigma=1.0, low_threshold=0.1, high_threshold=0.2) for frame in shown]
    return np.stack(found)[places]


def edge_f1(reference: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """F1 of each clip from thin edges bool [N, T, H, W] -> float64 [N]."""
    if reference.shape != generated.shape or reference.ndim != 4:
        raise MetricInputError(f"edges are two equal [N,T,H,W], not {reference.shape} and {generated.shape}")
    return np.array([_f1(true, made) for true, made in zip(reference, generated, strict=True)])


def _f1(true: np.ndarray, made: np.ndarray) -> float:
    total = int(true.sum()) + int(made.sum())
    return 2 * matched_edges(true, made) / total if total else float("nan")


def matched_edges(true: np.ndarray, made: np.ndarray) -> int:
    """The largest number of one-to-one pairs of edge pixels of the same frame [T, H, W] within the tolerance."""
    height, width = true.shape[1:]
    reach = max(1.0, TOLERANCE * float(np.hypot(height, width)))
    pairs = _pairs_within(true, made, reach)
    if pairs.shape[1] == 0:
        return 0
    graph = csr_matrix((np.ones(pairs.shape[1], bool), pairs), shape=(int(true.sum()), int(made.sum())))
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def _pairs_within(true: np.ndarray, made: np.ndarray, reach: float) -> np.ndarray:
    """(true edge number, made edge number) of all pairs no further apart than `reach`: int [2, pairs]."""
    numbers = np.full(made.shape, -1)
    numbers[made] = np.arange(made.sum())
    steps = int(np.floor(reach))
    frame, row, column = np.nonzero(true)
    height, width = true.shape[1:]
    found = []
    for down in range(-steps, steps + 1):
        for right in range(-steps, steps + 1):
            if down**2 + right**2 > reach**2:
                continue
            inside = (row + down >= 0) & (row + down < height) & (column + right >= 0) & (column + right < width)
            edge = np.flatnonzero(inside)
            other = numbers[frame[edge], row[edge] + down, column[edge] + right]
            found.append(np.stack([edge[other >= 0], other[other >= 0]]))
    return np.concatenate(found, axis=1)
