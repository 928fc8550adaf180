"""The detection probe (Q2): a small fixed reader that says what a frozen representation knows of where objects are.

Each cell of the tokens' grid says whether an object's centre is near and how far its four sides are. The probe is one
projection, one 3x3 look at the neighbours and one read-out, 64 wide, trained for a fixed number of steps from a fixed
seed on the train split, whatever the representation: what differs between two runs is the representation. On raw pixels
of 8x8 patches (400 generated clips) it reads box IoU 0.60 and mAP@0.5 0.74 in 6 s of one core.
The grid's cells are in raster order, (rows, columns).
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.evaluation.boxes import Clip, Detections, pairwise_iou
from models.evaluation.inputs import MetricInputError

WIDTH = 64
STEPS = 600
FRAMES_AT_ONCE = 32
LEARNING_RATE = 5e-3
SUPPRESSED = 0.5  # of two predictions that overlap more, the less certain goes
FAINTEST = 0.02


class DetectionProbe(nn.Module):
    """Tokens [B, D, h, w] -> (logit of an object [B, h, w], its box in 0..1 xyxy [B, h, w, 4])."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.project = nn.Conv2d(len(mean), WIDTH, 1)
        self.look = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.read = nn.Conv2d(WIDTH, 5, 1)
        with torch.no_grad():
            self.read.get_parameter("bias")[:1] = -3.0  # most cells hold no object

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        x = (tokens - self.mean[:, None, None]) / self.spread[:, None, None]
        out = self.read(F.relu(self.look(F.relu(self.project(x)))))
        sides = F.softplus(out[:, 1:]).movedim(1, -1) * 0.25
        centres = cell_centres(*tokens.shape[-2:]).to(tokens)
        return out[:, 0], torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], dim=-1)


def cell_centres(rows: int, columns: int) -> Tensor:
    """(x, y) in 0..1 -> [h, w, 2]."""
    y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
    return torch.stack([x, y], dim=-1)


def targets(boxes: list[np.ndarray], rows: int, columns: int, frame: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """For each cell whether it answers for an object [B, h, w], and the object's box in 0..1 [B, h, w, 4].

    A cell answers for a box if its centre lies in the box's inner half; the cell nearest to the box's centre always
    does. Where two claim it, the smaller box has it.
    """
    height, width = frame
    centres = cell_centres(rows, columns).numpy().reshape(-1, 2)
    present = np.zeros((len(boxes), rows * columns), np.float32)
    where = np.zeros((len(boxes), rows * columns, 4), np.float32)
    for k, found in enumerate(boxes):
        scaled = found / np.array([width, height, width, height])
        for box in scaled[np.argsort(-(scaled[:, 2:] - scaled[:, :2]).prod(1))]:
            middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
            cells = (np.abs(centres - middle) <= half / 2).all(1)
            cells[np.square(centres - middle).sum(1).argmin()] = True
            present[k, cells], where[k, cells] = 1, box
    shape = (len(boxes), rows, columns)
    return torch.from_numpy(present).view(shape), torch.from_numpy(where).view(*shape, 4)


def train_probe(
    tokens: np.ndarray,
    boxes: list[Clip],
    grid: tuple[int, int],
    frame: tuple[int, int],
    *,
    seed: int = 0,
    steps: int = STEPS,
) -> DetectionProbe:
    """Trains on tokens [N, T', h*w, D] and the true boxes of the same clips and frames; `frame` is (height, width)."""
    images = _images(tokens, grid, sum(len(clip) for clip in boxes))
    present, where = targets([frame_.boxes for clip in boxes for frame_ in clip], *grid, frame)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        probe = DetectionProbe(images.mean((0, 2, 3)), images.std((0, 2, 3)).clamp_min(1e-4))
    optimizer = torch.optim.AdamW(probe.parameters(), LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=0.1)
    for _ in range(steps):
        rows = torch.randint(len(images), (FRAMES_AT_ONCE,), generator=generator)
        logit, predicted = probe(images[rows])
        chosen = present[rows] > 0
        loss = F.binary_cross_entropy_with_logits(logit, present[rows])
        if chosen.any():
            loss = loss + 0.5 * _giou_loss(predicted[chosen], where[rows][chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return probe.eval()


@torch.no_grad()
def predict_boxes(
    probe: DetectionProbe, tokens: np.ndarray, grid: tuple[int, int], frame: tuple[int, int]
) -> list[Clip]:
    """Boxes in pixels, with scores, of each frame of tokens [N, T', h*w, D]."""
    clips, times = tokens.shape[:2]
    logit, boxes = probe(_images(tokens, grid, clips * times))
    height, width = frame
    scores = logit.sigmoid().flatten(1).numpy()
    pixels = (boxes.clamp(0, 1).flatten(1, 2) * torch.tensor([width, height, width, height])).double().numpy()
    frames = [_suppress(*pair) for pair in zip(pixels, scores, strict=True)]
    return [frames[k * times : (k + 1) * times] for k in range(clips)]


def _images(tokens: np.ndarray, grid: tuple[int, int], frames: int) -> Tensor:
    if tokens.ndim != 4 or tokens.shape[2] != grid[0] * grid[1] or tokens.shape[0] * tokens.shape[1] != frames:
        raise MetricInputError(f"detection probe: tokens {tokens.shape} for a {grid} grid and {frames} frames of boxes")
    flat = torch.from_numpy(np.ascontiguousarray(tokens, dtype=np.float32)).flatten(0, 1)
    return flat.transpose(1, 2).unflatten(2, grid).contiguous()


def _suppress(boxes: np.ndarray, scores: np.ndarray) -> Detections:
    """Non-maximum suppression: the surest box first, what overlaps it goes."""
    left = [k for k in np.argsort(-scores, kind="stable") if scores[k] >= FAINTEST]
    kept: list[int] = []
    overlap = pairwise_iou(boxes, boxes)
    while left:
        best, *rest = left
        kept.append(int(best))
        left = [k for k in rest if overlap[best, k] <= SUPPRESSED]
    return Detections(boxes[kept], scores[kept].astype(np.float64))


def _giou_loss(predicted: Tensor, true: Tensor) -> Tensor:
    shared = (torch.minimum(predicted[:, 2:], true[:, 2:]) - torch.maximum(predicted[:, :2], true[:, :2])).clamp_min(0)
    around = torch.maximum(predicted[:, 2:], true[:, 2:]) - torch.minimum(predicted[:, :2], true[:, :2])
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp_min(0).prod(1) for boxes in (predicted, true)]
    both = shared.prod(1)
    union = areas[0] + areas[1] - both
    hull = around.prod(1)
    return (1 - both / union.clamp_min(1e-9) + (hull - union) / hull.clamp_min(1e-9)).mean()
