"""Foretell clips (§1.5): each clip's files are computed before any is written, and its document is written last, so a
folder that has it is whole.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestration.home import Home
from orchestration.prediction.clip import Given, find_clips, read_clip
from orchestration.prediction.document import PredictionDocument
from orchestration.prediction.loaded import Loaded, load
from orchestration.prediction.said import Verdict, document
from orchestration.prediction.trained import PredictorError, TrainedPredictor, find
from orchestration.stages.names import VERIFICATION

if TYPE_CHECKING:
    from models.predict.calibration import Calibration
    from models.predict.differences import Measure
    from models.predict.pipeline import Prediction

DOCUMENT, MADE = "prediction.json", ("predicted.mp4", "beside.mp4", "frames.png", "difference.png")
CONDITIONING = "conditioning.safetensors"
Progress = Callable[[str, int, int, dict[str, float]], None]


@dataclass(frozen=True)
class Predicted:
    """What was made of the clips that were given."""

    documents: dict[str, PredictionDocument]
    """Folder under `out`, empty for a single clip -> its document."""
    failed: dict[str, str] = field(default_factory=dict)
    """Clip of a folder -> why nothing was foretold of it."""


@dataclass(frozen=True)
class Judge:
    """What holds predictions against outcomes."""

    measure: "Measure"
    calibration: "Calibration"


def predict(
    given: str,
    out: Path,
    home: Home,
    *,
    dataset: str,
    profile: str = "",
    seed: int = 0,
    verify: bool = False,
    at_end: bool = False,
    without: str = "",
    progress: Progress = lambda *_: None,
) -> Predicted:
    """Foretell what follows the context of a clip, or of every clip of a folder, and write it to the folder `out`.

    The same clip, seed, predictor and device give the same frames.

    Args:
        given: a video file, a folder of them, or the id of a held-out clip of the dataset.
        verify: hold each prediction against what came; for a single clip that must be known.
        at_end: the context is a film's last frames, and nothing that followed is known.
        without: an encoder to leave out; the fusion's null stands in its place.

    Raises:
        PredictorError: no predictor, no such clip, or one that cannot be used. Of a folder's clips such a one is noted.
        PlacementError: the networks do not fit this machine.
    """
    if out.exists() and not out.is_dir():
        raise PredictorError(f"{out}: a file; give --out a folder")
    if verify and at_end:
        raise PredictorError("--verify and --at-end: what follows a film's end is not known; give one of them")
    trained = find(home, dataset, profile)
    clips = find_clips(given, trained)
    judge = _judge(trained) if verify else None
    predicting = _Predicting(home, trained, load(trained, without=without, progress=progress), judge, seed, at_end)
    if clips == [given]:
        return Predicted({"": predicting.clip(given, out, progress, alone=True)})
    documents, failed = {}, {}
    for done, clip in enumerate(clips):
        name = Path(clip).name
        try:
            documents[name] = predicting.clip(clip, out / name)
        except ValueError as error:
            failed[name] = " ".join(str(error).split())
        progress("clips", done + 1, len(clips), {"failed": float(len(failed))})
    return Predicted(documents, failed)


def _judge(trained: TrainedPredictor) -> Judge:
    from orchestration.prediction.verification import measure_of, of_document

    calibration = of_document(trained.left(VERIFICATION))
    return Judge(measure_of(calibration, trained.job), calibration)


@dataclass(frozen=True)
class _Predicting:
    """What stays the same from clip to clip."""

    home: Home
    trained: TrainedPredictor
    loaded: Loaded
    judge: Judge | None
    seed: int
    at_end: bool

    def clip(
        self, given: str, out: Path, progress: Progress = lambda *_: None, *, alone: bool = False
    ) -> PredictionDocument:
        """Foretell one clip; `alone` it must have an outcome where there is a judge."""
        from models.data import write_durably

        horizon = self.loaded.pipeline.trained.horizon
        read = read_clip(given, self.trained, horizon, at_end=self.at_end)
        if alone and self.judge is not None and read.outcome is None:
            raise PredictorError(
                f"{given}: too short for its outcome to be known; --verify needs {horizon.frames} frames or more"
            )
        made = self.loaded.pipeline.predict(read.frames, seed=self.seed, progress=progress)
        verified = self._verified(read, made)
        ending = "_standins" if self.trained.job.profile.standins else ""
        files = {_named(name, ending): content for name, content in _files(read, made, verified).items()}
        said = document(self.trained, self.loaded, read, made, verified, self.home, list(files))
        out.mkdir(parents=True, exist_ok=True)
        for name in (DOCUMENT, *(_named(one, end) for one in (*MADE, CONDITIONING) for end in ("", "_standins"))):
            (out / name).unlink(missing_ok=True)  # what an earlier prediction left, its document first
        for name, content in files.items():
            write_durably(out / name, content)
        write_durably(out / DOCUMENT, json.dumps(said.document(), indent=1, ensure_ascii=False).encode())
        return said

    def _verified(self, read: Given, made: "Prediction") -> Verdict | None:
        from models.predict.verify import verify

        if self.judge is None or read.outcome is None:
            return None
        found = verify(made.future, read.outcome, self.judge.measure, self.judge.calibration)
        return Verdict(self.judge.measure, self.judge.calibration, found)


def _named(name: str, ending: str) -> str:
    """A file that stand-ins made says so in its name."""
    path = Path(name)
    return f"{path.stem}{ending}{path.suffix}"


def _files(read: Given, made: "Prediction", verified: Verdict | None) -> dict[str, bytes]:
    """Content by name: `beside` has what came on the left and what was foretold on the right."""
    from safetensors.torch import save

    from models.data.video import encode_mp4
    from orchestration.report.figures import difference_map, frame_strip

    tensors = {**made.conditioning, "latents": made.latents.contiguous()}
    files = {"predicted.mp4": encode_mp4(made.frames, read.fps), CONDITIONING: save(tensors)}
    rows = {"predicted": made.frames}
    if read.outcome is not None:
        true = np.concatenate([read.frames[: made.horizon.context], read.outcome])
        files["beside.mp4"] = encode_mp4(np.concatenate([true, made.frames], axis=2), read.fps)
        rows = {"what came": true, **rows}
    files["frames.png"] = frame_strip(rows)
    if verified is not None and read.outcome is not None:
        heat, unit = verified.found.heat, verified.measure.says
        files["difference.png"] = difference_map(made.future, read.outcome, heat, made.horizon.context, unit)
    return files
