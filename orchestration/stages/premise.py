"""The stage `premise`: Q2's probe on each representation and Q1's CKA, each a cell of its own (design §4.10).

A cell is measured once for its inputs and code and keeps its result, per-clip values included; when one is made again
the others stay. The verdict is made of all of them by the declared rule.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from models.data import write_durably
from orchestration import tracking
from orchestration.admission import admit
from orchestration.experiments.declaration import Encoder, PremiseDeclaration, Sizes
from orchestration.experiments.documents import ExperimentDecision, PremiseDocument
from orchestration.jobs import Job, JobError
from orchestration.versioning import fingerprint, source_sha256

AUDIT, PAGE = "audit.json", "page.html"
JUDGED = ("qwen_postmerge", "qwen_premerge", "qwen_premerge_as_returned", "dinov2")
"""Whose stand-ins make an audit one of stand-ins, beside the VAE: MobileSAM's weights are real everywhere."""
Cell = dict[str, Any]


def run(stage: str, job: Path | None, reporter: Any) -> dict[str, Any]:
    """Measure what is not measured yet, and write the document, the figures and the page."""
    import torch

    given = admit(job, stage)
    if given.declaration is None:
        raise JobError(f"{job}: no declaration in it; `foresight experiment premise` writes the job")
    if given.profile.threads:
        torch.set_num_threads(given.profile.threads)
    with tracking.attempt(given) as parent:
        return _Audit(given, given.declaration, reporter).run(parent)


class _Audit:
    def __init__(self, job: Job, declaration: PremiseDeclaration, reporter: Any) -> None:
        from orchestration.stages.inputs import Inputs
        from orchestration.stages.premise_tokens import PremiseTokens

        self.job, self.declaration, self.reporter = job, declaration, reporter
        self.sizes: Sizes = declaration.sizes_of(job.profile)
        self.inputs = Inputs(job)
        self.tokens = PremiseTokens(job, self.inputs, self.sizes, reporter)

    def run(self, parent: tracking.Run) -> dict[str, Any]:
        for stored in (self.inputs.shards, *(self.inputs.store(name) for name in ("latents", "dinov2", "qwen"))):
            stored.verify()
        encoders: list[Encoder] = list(self.declaration.localisation.encoders) if self.tokens.ids["train"] else []
        read: dict[Encoder, Cell] = {encoder: self._probe(encoder) for encoder in encoders}
        aligned = self._alignment()
        measured = self._document(read, aligned, parent)
        decision = self._decision(measured)
        _write(self.job.out / AUDIT, measured.document())
        pictures = self._shown(measured, decision)
        numbers = {
            f"{name}_{metric}": value
            for name, reading in measured.localisation.items()
            for metric, value in (("bbox_iou", reading.bbox_iou.value), ("map50", reading.map50.value))
        }
        numbers |= {f"cka_{one.form}_{one.n}": one.cka.value for one in measured.alignment}
        numbers = {name: value for name, value in numbers.items() if value is not None}
        parent.numbers(numbers)
        parent.say({"verdict": decision.verdict})
        parent.document(AUDIT, measured.document())
        parent.document("decision.json", decision.document())
        for path in (*pictures, self.job.out / PAGE):
            parent.file(path, "figures" if path in pictures else "")
        return {"numbers": numbers, "pictures": [str(path) for path in pictures], "runs": measured.runs}

    def _cell(self, name: str, mark: str, make: Callable[[], Cell]) -> Cell:
        """A cell's result, measured now or before from the same inputs by the same code."""
        path = self.job.out / "cells" / f"{name}.json"
        before = _read(path)
        if before is not None and before.get("fingerprint") == mark:
            self.reporter(f"{name}: stands", 1, 1, {})
            return before
        with tracking.child(self.job, name) as run:
            cell = {"fingerprint": mark, "run": run.id, **make()}
            run.numbers({key: value for key, value in _flat(cell) if isinstance(value, float)})
            run.document(f"{name}.json", cell)
        _write(path, cell)
        self.reporter(name, 1, 1, {})
        return cell

    def _probe(self, encoder: Encoder) -> Cell:
        from orchestration.stages import premise_cells as cells

        seed, size = self.declaration.seed, self.inputs.shards.settings["size"]
        mark = fingerprint({"tokens": self.tokens.mark(encoder), "seed": seed, "code": source_sha256(*cells.PROBE)})
        return self._cell(encoder, mark, lambda: cells.probe(self.tokens, encoder, size, seed))

    def _alignment(self) -> Cell:
        from orchestration.stages import premise_cells as cells

        plan, seed, batch = self.declaration.alignment, self.declaration.seed, self.job.profile.clips.batch
        stores = [self.inputs.store(name).store for name in ("qwen", "latents")]
        made = [[store.fingerprint, store.shards] for store in stores]
        said = {"stores": made, "plan": plan.model_dump(), "seed": seed, "code": source_sha256(*cells.CKA)}
        make = partial(cells.alignment, self.inputs, plan, seed, batch, self.reporter)
        return self._cell("alignment", fingerprint(said), make)

    def _document(self, read: dict[Encoder, Cell], aligned: Cell, parent: tracking.Run) -> PremiseDocument:
        from orchestration.stages.premise_cells import differences

        standins = aligned["standin"] or any(read[name]["standin"] for name in JUDGED if name in read)
        kept = ("standin", "weights_sha256", "grid", "dim", "bbox_iou", "map50")
        document = {
            "schema": "foresight.premise/1",
            "declaration_sha256": self.declaration.sha256,
            "profile": self.job.profile.name,
            "standins": standins or self.job.profile.standins,
            "dataset": self.job.dataset,
            "data_version": self.job.data_version,
            "code_commit": self.job.code_commit,
            "weights": self.job.weights,
            "runs": {
                "parent": parent.id,
                **{name: cell["run"] for name, cell in (*read.items(), ("alignment", aligned))},
            },
            "n_train": len(self.tokens.ids["train"]),
            "n_clips": len(self.tokens.ids["heldout"]),
            "frames": len(self.tokens.frames),
            "mobile_sam_px": self.sizes.mobile_sam_px,
            "dims": aligned["dims"],
            "localisation": {name: {key: cell[key] for key in kept} for name, cell in read.items()},
            "differences": list(differences(read, self.declaration.localisation.differences, self.declaration.seed)),
            "alignment": aligned["rows"],
        }
        return PremiseDocument.model_validate(document)

    def _decision(self, measured: PremiseDocument) -> ExperimentDecision:
        from orchestration.experiments.premise import decide
        from orchestration.plan.programme import load

        return decide(self.declaration, measured, standins_decide=load().gate.standins_decide)

    def _shown(self, measured: PremiseDocument, decision: ExperimentDecision) -> list[Path]:
        """The figures, and the page with them."""
        from orchestration.report import premise

        folder = self.job.out / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        pictures = premise.figures(self.declaration, measured)
        for name, png in pictures.items():
            (folder / f"{name}.png").write_bytes(png)
        write_durably(self.job.out / PAGE, premise.page(self.declaration, measured, decision, pictures).encode())
        return [folder / f"{name}.png" for name in pictures]


def _flat(cell: Cell) -> Iterator[tuple[str, Any]]:
    """The numbers of a cell by name, for MLflow: of metrics their values, of each row of CKA its value."""
    for name in ("bbox_iou", "map50"):
        if name in cell:
            yield name, cell[name]["value"]
    for row in cell.get("rows", []):
        yield f"cka_{row['form']}_{row['n']}", row["cka"]["value"]


def _read(path: Path) -> Cell | None:
    """A cell that was written whole; one that cannot be read is measured again."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, document: Cell) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, json.dumps(document, indent=1, allow_nan=False).encode())
