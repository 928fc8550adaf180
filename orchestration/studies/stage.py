"""The stage of every study: its cells, each measured once and kept, then document, decision, figures and page (ADR 24).

A cell is measured once for its settings, inputs, weights and code; when one is made again the others stay. One that was
cut short goes on in its own folder. The job ends with the first cell that fails, and those before it are kept.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.data import write_durably
from orchestration import tracking
from orchestration.admission import admit
from orchestration.budget.allowance import StoppedAtReservation, countdown, to_finish
from orchestration.experiments.documents import ExperimentDecision
from orchestration.jobs import Job, JobError
from orchestration.studies import cells as kept
from orchestration.studies.declaration import StudyDeclaration, study
from orchestration.studies.documents import StudyDocument
from orchestration.studies.study import Analysis, Bench, Cell, Measured

DOCUMENT, PAGE, DECISION = "study.json", "page.html", "decision.json"


class CellError(RuntimeError):
    """A cell that could not be measured."""


def run(stage: str, job: Path | None, reporter: Any) -> dict[str, Any]:
    """Measure the cells that are not measured yet, and write what they say together.

    Raises:
        JobError: the job carries no declaration of a study.
        CellError: a cell failed, with its name and why; those before it are kept.
        StoppedAtReservation: the time was up between two cells, or in a training, whose checkpoint is kept.
    """
    import torch

    given = admit(job, stage)
    if given.study is None:
        raise JobError(f"{job}: no declaration in it; `foresight experiment {stage}` writes the job")
    if given.profile.threads:
        torch.set_num_threads(given.profile.threads)
    allowed = given.profile.budget.max_hours * 3600 if given.allowed_s is None else given.allowed_s
    left = countdown(allowed - to_finish(allowed))
    with tracking.attempt(given) as parent:
        return _Run(given, given.study, reporter, left).run(parent)


class _Run:
    def __init__(self, job: Job, declaration: StudyDeclaration, reporter: Any, left: Callable[[], float]) -> None:
        from orchestration.stages.inputs import Inputs

        self.job, self.declaration, self.reporter, self.left = job, declaration, reporter, left
        self.study, self.plan = study(declaration.name), declaration.planned
        self.sizes, self.inputs = declaration.sized(job.profile), Inputs(job)

    def run(self, parent: tracking.Run) -> dict[str, Any]:
        for stored in (self.inputs.shards, *(self.inputs.store(name) for name in ("latents", "dinov2", "qwen"))):
            stored.verify()
        planned = self.study.cells(self.plan, self.sizes)
        marks = kept.marks(self.job, self.study.CODE, self.declaration.seed, planned)
        measured: dict[str, Measured] = {}
        for number, cell in enumerate(planned):
            measured[cell.name] = self._cell(cell, marks[cell.name], measured)
            self.reporter(cell.name, number + 1, len(planned), {})
        analysis = self.study.analyse(self.plan, self.sizes, measured, self.declaration.seed)
        document = self._document(measured, marks, analysis, parent)
        decision = self._decision(document)
        pictures = self._shown(document, decision, analysis)
        numbers = {name: value.value for name, value in document.values.items() if value.value is not None}
        parent.numbers(numbers)
        parent.say({"verdict": decision.verdict})
        parent.document(DOCUMENT, document.document())
        parent.document(DECISION, decision.document())
        for path in (*pictures, self.job.out / PAGE):
            parent.file(path, "figures" if path in pictures else "")
        return {"numbers": numbers, "pictures": [str(path) for path in pictures], "runs": document.runs}

    def _cell(self, cell: Cell, mark: str, measured: dict[str, Measured]) -> Measured:
        """A cell's result, measured now or before from the same inputs by the same code."""
        from models.training.loop import OutOfTime

        before = kept.read(self.job.out, cell.name, mark)
        if before is not None:
            return before
        if self.left() <= 0:
            raise StoppedAtReservation(f"{self.declaration.name}: its time was up before {cell.name}; the rest is kept")
        folder = kept.fresh_folder(self.job.out, cell.name, mark)
        bench = Bench(
            job=self.job,
            inputs=self.inputs,
            sizes=self.sizes,
            seed=self.declaration.seed,
            folder=folder,
            measured={name: measured[name] for name in cell.after},
            folder_of=lambda name: kept.folder(self.job.out, name),
            reporter=lambda what, *told: self.reporter(f"{cell.name}: {what}", *told),
            left=self.left,
        )
        with tracking.child(self.job, cell.name) as run:
            try:
                made = self.study.measure(cell, bench)
            except OutOfTime as error:
                raise StoppedAtReservation(f"{self.declaration.name}: cell {cell.name}: {error}") from error
            except Exception as error:
                raise CellError(f"{self.declaration.name}: cell {cell.name}: {error}") from error
            run.numbers({f"cell/{name}": value for name, value in made.get("numbers", {}).items()})
            run.params({f"cell.{name}": value for name, value in cell.settings.items()})
            run.document(f"{cell.name}.json", made)
        return kept.write(self.job.out, cell.name, mark, {**made, "run": run.id})

    def _document(
        self, measured: dict[str, Measured], marks: dict[str, str], analysis: Analysis, parent: tracking.Run
    ) -> StudyDocument:
        found = StudyDocument(
            schema="foresight.study_document/1",  # pyright: ignore[reportCallIssue]
            study=self.declaration.name,
            declaration_sha256=self.declaration.sha256,
            profile=self.job.profile.name,
            standins=self.job.profile.standins or any(one["standin"] for one in measured.values()),
            dataset=self.job.dataset,
            data_version=self.job.data_version,
            code_commit=self.job.code_commit,
            weights=self.job.weights,
            inputs=self.job.input_fingerprints,
            runs={"parent": parent.id, **{name: cell["run"] for name, cell in measured.items()}},
            cells=marks,
            values=analysis.values,
            tables=tuple(vars(table) for table in analysis.tables),  # pyright: ignore[reportArgumentType]
            series=analysis.series,
            finding=self.study.finding(self.plan, analysis),
        )
        _write(self.job.out / DOCUMENT, found.document())
        return found

    def _decision(self, document: StudyDocument) -> ExperimentDecision:
        from orchestration.plan.programme import load
        from orchestration.studies.rule import decide

        return decide(self.declaration, document, standins_decide=load().gate.standins_decide)

    def _shown(self, document: StudyDocument, decision: ExperimentDecision, analysis: Analysis) -> list[Path]:
        """The figures, and the page with them."""
        from orchestration.report import study as report

        folder = self.job.out / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        pictures = self.study.figures(self.plan, analysis)
        for name, png in pictures.items():
            (folder / f"{name}.png").write_bytes(png)
        page = report.page(self.declaration, document, decision, pictures)
        write_durably(self.job.out / PAGE, page.encode())
        return [folder / f"{name}.png" for name in pictures]


def _write(path: Path, document: dict[str, Any]) -> None:
    write_durably(path, json.dumps(document, indent=1, allow_nan=False).encode())
