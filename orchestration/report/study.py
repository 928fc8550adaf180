"""A study as people read it: its section of the report, and its own page (ADR 24)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestration.experiments.documents import ExperimentDecision
from orchestration.experiments.words import STANDINS
from orchestration.report import palette
from orchestration.report.premise import ClaimView
from orchestration.studies.declaration import StudyDeclaration, study
from orchestration.studies.documents import StudyDocument, TableDocument


@dataclass(frozen=True)
class StudyView:
    """What the template is given."""

    name: str
    title: str
    section: str
    mark: palette.Mark
    notice: str
    hypothesis: str
    doubts: tuple[tuple[str, str], ...]
    finding: str
    claims: tuple[ClaimView, ...]
    tables: tuple[TableDocument, ...]
    figures: tuple[dict[str, str], ...]
    made: str
    pins: str


def view(
    declaration: StudyDeclaration,
    measured: StudyDocument,
    decision: ExperimentDecision,
    pictures: Mapping[str, bytes],
) -> StudyView:
    """One study; `pictures` are its PNGs by name."""
    captions = study(declaration.name).CAPTIONS
    mark = palette.mark(decision.verdict)
    return StudyView(
        name=declaration.name.upper(),
        title=declaration.title,
        section=declaration.section,
        mark=replace(mark, word=f"{mark.word}, FOR STAND-INS") if measured.standins else mark,
        notice=STANDINS if measured.standins else "",
        hypothesis=declaration.hypothesis.says,
        doubts=tuple((doubt.says, doubt.section) for doubt in declaration.doubts),
        finding=decision.finding,
        claims=tuple(
            ClaimView(claim.says, palette.mark(claim.outcome), claim.why, claim.section) for claim in decision.claims
        ),
        tables=measured.tables,
        figures=tuple(
            {"caption": caption, "base64": base64.b64encode(pictures[name]).decode("ascii")}
            for name, caption in captions.items()
            if name in pictures
        ),
        made=f"{measured.dataset.replace('_', ' ')}, profile {measured.profile}",
        pins=(
            f"Declaration {measured.declaration_sha256[:12]}, measured {measured.sha256[:12]}, decision "
            f"{decision.sha256[:12]}, {len(measured.cells)} cells, data {measured.data_version}, "
            f"code {measured.code_commit[:12]}."
        ),
    )


def page(
    declaration: StudyDeclaration,
    measured: StudyDocument,
    decision: ExperimentDecision,
    pictures: Mapping[str, bytes],
) -> str:
    """The study's own page as HTML."""
    from orchestration.report.page import environment, style

    shown = view(declaration, measured, decision, pictures)
    return environment().get_template("study_page.html.j2").render({"study": shown, "style": style()})
