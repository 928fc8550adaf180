"""The stage `evaluate`: measure a phase on held-out clips and write its evaluation document (design §6, §11)."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestration import tracking
from orchestration.admission import admit
from orchestration.jobs import RESULT, Job

if TYPE_CHECKING:
    from orchestration.documents import PerClip

NAMES = {"dynamic_degree": "temporal_lpips_variance_dynamic"}
"""Names that the document gives to what stands beside a metric."""
UNNAMED = {"dynamic_degree_true"}
"""The document has no name for it."""
PROBED = {"direction", "temporal_ordering"}
LOWER_IS_BETTER = {"lpips", "temporal_lpips_variance"}
Values = dict[str, np.ndarray]


def run(stage: str, job: Path | None, reporter: Any) -> dict[str, Any]:
    """Measure every arm and every baseline on the same clips."""
    import torch

    given = admit(job, stage)
    if given.profile.threads:
        torch.set_num_threads(given.profile.threads)
    return _Evaluation(given, reporter).run()


class _Evaluation:
    def __init__(self, job: Job, reporter: Any) -> None:
        from orchestration.stages.inputs import Inputs

        self.job, self.reporter, self.inputs = job, reporter, Inputs(job)
        self.ids = self.inputs.ids("heldout")[: job.profile.evaluation.clips]
        self.train = self.inputs.shards.ids("train")
        self.data = self.inputs.training(self.train or self.ids, self.ids, captions=False)
        self.true = self.inputs.shards.frames(self.ids)
        self.runs: dict[str, str] = json.loads((job.inputs[f"phase{job.phase}"] / RESULT).read_text())["runs"]

    def run(self) -> dict[str, Any]:
        from orchestration.documents import ABSENT, Evaluation
        from orchestration.stages.generation import MAIN, generate

        main = MAIN[self.job.phase]
        made = generate(self.job, self.inputs, self.data, self.ids, self.reporter)
        values, protocols = self._values(made)
        arms = {arm: self._summary(values[arm], protocols) for arm in made.arms}
        for arm in set(made.arms) - {main}:
            arms[arm] |= self._gains(values[main], values[arm])
        both = {name: f"{text}, fitted with both streams" for name, text in protocols.items() if name in PROBED}
        baselines = {
            name: self._summary(values[name], protocols | (both if name in ABSENT else {})) for name in made.baselines
        }
        beyond, more = self._beyond(made, main)
        metrics = arms[main] | beyond
        values[main] |= more
        document = {
            "schema": "foresight.evaluation/1",
            "phase": self.job.phase,
            "profile": self.job.profile.name,
            "standins": self.job.profile.standins,
            "data_version": self.job.data_version,
            "code_commit": self.job.code_commit,
            "weights": self.job.weights,
            "runs": self.runs,
            "n_clips": len(self.ids),
            "metrics": metrics,
            "arms": arms,
            "baselines": baselines,
        }
        folder = self.job.out.parent
        document["per_clip"] = self._per_clip(folder, values)
        evaluation = Evaluation.model_validate(document)
        _write(folder / "evaluation.json", evaluation.document())
        pictures, shares = self._pictures(folder / "figures", made, main), {}
        if self.job.phase > 1:
            found = self._shares(made)
            shares, drawn = found.rows, {folder / "figures" / f"{name}.png": png for name, png in found.figures.items()}
            pictures += [path for path, png in drawn.items() if path.write_bytes(png)]
        self._record(evaluation.document(), shares, pictures, main)
        numbers = {name: metric["value"] for name, metric in metrics.items()}
        said = {"numbers": numbers, "pictures": [str(path) for path in pictures], "runs": self.runs}
        return said | ({"stream_shares": shares} if shares else {})

    def _values(self, made: Any) -> tuple[dict[str, Values], dict[str, str]]:
        """Per-clip values of every arm and baseline, and what was measured how."""
        from models.evaluation import probes
        from models.evaluation.evaluate import Reference, reconstruction_metrics
        from models.evaluation.lpips import Lpips
        from models.evaluation.semantic import SentenceEmbedder
        from orchestration.stages import measures
        from orchestration.stages.known import known

        embedder = SentenceEmbedder() if self.job.phase == 2 else None
        index = self.inputs.shards.index.set_index("clip_id").loc[self.ids]
        reference = Reference(
            self.true,
            Lpips("alex"),
            masks=self.inputs.shards.masks(self.ids) if self.inputs.shards.outlined(self.ids) == "masks" else None,
            segmenter=measures.segmenter(self.job, self.inputs, self.ids),
            captions=self.inputs.caption(self.true) if embedder else None,
            embedder=embedder,
            known=known(self.job, "frames", "models/evaluation", "models/frozen.py"),
        )
        all_clips, values, captions = {**made.arms, **made.baselines}, {}, {}
        for done, (name, clips) in enumerate(all_clips.items()):
            captions[name] = self.inputs.caption(clips) if embedder else None
            values[name] = reconstruction_metrics(reference, clips, captions[name])
            self.reporter(f"metrics of {name}", done + 1, len(all_clips), {})
        protocols = reference.protocols()
        if reference.segmenter is None:
            values = {name: one | {"spatial_iou": np.full(len(self.ids), np.nan)} for name, one in values.items()}
            protocols["spatial_iou"] = measures.NO_OBJECTS
        if embedder:
            protocols |= self._semantics(made, values, captions, reference)
        if self.job.phase == 2 and self.train and index["direction_first"].notna().any():
            found = measures.temporal(self.job, self.inputs, self.data, self.train, self.ids, made)
            for arm, more in found.items():
                values[arm] |= more
            protocols |= probes.PROTOCOLS
        return values, protocols

    def _semantics(self, made: Any, values: dict[str, Values], captions: Any, reference: Any) -> dict[str, str]:
        """Add what the VLM says and sees, and give the protocols."""
        from orchestration.stages.generation import MAIN
        from orchestration.stages.semantics import Said, measured

        said = Said(reference.captions, captions, reference.embedder)
        found, protocols = measured(self.inputs, self.train, self.ids, made, said, MAIN[self.job.phase])
        for name, more in found.items():
            values[name] |= more
        self.reporter("what the VLM says and sees", 1, 1, {})
        return protocols

    def _summary(self, values: Values, protocols: dict[str, str]) -> dict[str, dict[str, Any]]:
        from models.evaluation.metric import bootstrap
        from models.evaluation.probes import PROPORTIONS

        settings = self.job.profile.evaluation
        return {
            NAMES.get(name, name): bootstrap(
                array, settings.seed, protocols.get(name, ""), settings.resamples, proportion=name in PROPORTIONS
            ).document()
            for name, array in values.items()
            if name not in UNNAMED
        }

    def _per_clip(self, folder: Path, values: dict[str, Values]) -> "PerClip":
        """Leave what every clip was measured at beside the document, under the document's names."""
        from orchestration.compare import clip_values

        named = {
            name: {NAMES.get(metric, metric): array for metric, array in measured.items() if metric not in UNNAMED}
            for name, measured in values.items()
        }
        return clip_values.write(folder, clip_values.identities(self.ids, self.true), named)

    def _gains(self, hybrid: Values, arm: Values) -> dict[str, dict[str, Any]]:
        """By how much the hybrid is better than an arm, clip by clip, in every metric that both have."""
        from models.evaluation.metric import paired_difference
        from models.evaluation.probes import PROPORTIONS
        from orchestration.documents import NAMES as METRICS

        gains = {}
        for name in (name for name in METRICS if name in hybrid and name in arm):
            better, rest = (arm, hybrid) if name in LOWER_IS_BETTER else (hybrid, arm)
            seed, said = self.job.profile.evaluation.seed, f"{name}, positive: hybrid better"
            gains[f"{name}_gain"] = paired_difference(
                better[name], rest[name], seed, said, proportion=name in PROPORTIONS
            ).document()
        return gains

    def _beyond(self, made: Any, main: str) -> tuple[dict[str, dict[str, Any]], Values]:
        """What a phase is asked beyond frames side by side, and what of it has a value of each clip."""
        from models.evaluation.lpips import Lpips, clip_lpips
        from models.evaluation.metric import bootstrap
        from orchestration.stages import measures

        vgg, seed, some = Lpips("vgg"), self.job.profile.evaluation.seed, self.job.profile.evaluation.vgg_clips
        second = clip_lpips(vgg, self.true[:some], made.arms[main][:some])
        found, per_clip = {"lpips_vgg": bootstrap(second, seed, vgg.protocol)}, {"lpips_vgg": second}
        self.reporter("LPIPS (vgg)", 1, 1, {})
        masked = bool(self.inputs.shards.index["has_masks"].to_numpy().all())
        if self.job.phase == 1 and self.train and masked:
            boxes, overlap = measures.boxes(self.job, self.inputs, self.train, self.ids)
            found, per_clip = found | boxes, per_clip | overlap
            self.reporter("boxes", 1, 1, {})
        if self.job.phase == 3:
            found |= measures.fvd(self.job, self.true, made, main, self.reporter)
            found |= measures.latency(self.job, self.inputs, self.ids, made.adapted)
            self.reporter("latency", 1, 1, {})
        return {name: metric.document() for name, metric in found.items()}, per_clip

    def _pictures(self, folder: Path, made: Any, main: str) -> list[Path]:
        from orchestration.report.figures.frames import frame_strip

        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for clip in range(min(2, len(self.ids))):
            rows = {"true": self.true[clip], main: made.arms[main][clip]}
            rows |= {arm: clips[clip] for arm, clips in made.arms.items() if arm != main}
            rows |= {"VAE round trip": made.baselines["vae_roundtrip"][clip]}
            written.append(folder / f"strip_{clip + 1}.png")
            written[-1].write_bytes(frame_strip(rows))
        return written

    def _shares(self, made: Any) -> Any:
        """Which stream the hybrid listened to; nothing of Phase 1, which has one stream."""
        from orchestration.stages.shares import measure

        masks = self.inputs.shards.masks(self.ids) if self.inputs.shards.outlined(self.ids) == "masks" else None
        found = measure(self.job, self.data, self.ids, made, self.true, masks)
        self.reporter("stream shares", 1, 1, {})
        return found

    def _record(
        self, document: dict[str, Any], shares: dict[str, dict[str, Any]], pictures: list[Path], main: str
    ) -> None:
        """Add the numbers to the MLflow runs of the training that they speak of."""
        prefix = (
            ""
            if document["data_version"] and self.job.inputs[f"phase{self.job.phase}"] == self.job.out.parent
            else self.job.dataset
        )
        for arm, metrics in document["arms"].items():
            with tracking.continued(self.job, self.runs[arm]) as run:
                values = {**metrics, **document["metrics"]} if arm == main else metrics
                named = {
                    f"{prefix}_{name}" if prefix else name: m["value"]
                    for name, m in values.items()
                    if m["value"] is not None
                }
                run.numbers({f"eval_{name}": value for name, value in named.items()})
                run.document(f"{prefix or 'evaluation'}.json", document)
                run.file(self.job.out.parent / document["per_clip"]["file"], prefix or "evaluation")
                if arm == main:
                    if shares:
                        run.document(f"{prefix}stream_shares.json", shares)
                        said = {_key(name): row["value"] for name, row in shares.items() if row["value"] is not None}
                        under = f"{prefix}_stream_share" if prefix else "stream_share"
                        run.numbers({f"{under}/{name}": value for name, value in said.items()})
                    for path in pictures:
                        run.picture(f"{prefix}{path.name}", path.read_bytes())


def _key(row: str) -> str:
    """A row's words as MLflow names a metric: `layer 1, cells` is `layer_1/cells`."""
    return row.replace(", ", "/").replace(" ", "_")


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1), encoding="utf-8")
    part.replace(path)
