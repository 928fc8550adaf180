"""The premise audit as people read it: its figures, its section of the report, and its own page (design §4.10).

In words that are made of the numbers; stand-ins are named wherever one stood in.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestration.documents import MetricValue
from orchestration.experiments.declaration import PremiseDeclaration, Statement
from orchestration.experiments.documents import ExperimentDecision, PremiseDocument
from orchestration.experiments.words import NAMES, STANDINS
from orchestration.report import palette

if TYPE_CHECKING:
    from orchestration.report.bundle import PremiseEvidence

CAPTIONS = {
    "localisation": "Q2: what the same probe finds in each representation of the same clips; dashed, what Q2 reported",
    "alignment": "Q1: CKA of the VLM's stream and the decoder's latents against the number of clips; dashed, what Q1 "
    "reported. In the biased form chance alone reaches high values while clips are few",
}
COLUMNS = ("Bounding Box IoU", "mAP@0.5", "IoU less post-merge's", "Grid")


@dataclass(frozen=True)
class Cell:
    value: str = "–"
    interval: str = ""


@dataclass(frozen=True)
class Line:
    """One representation in the table."""

    words: str
    standin: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ClaimView:
    says: str
    mark: palette.Mark
    why: str
    section: str


@dataclass(frozen=True)
class PremiseView:
    """What the template is given."""

    mark: palette.Mark
    notice: str
    hypothesis: Statement
    finding: str
    claims: tuple[ClaimView, ...]
    made: str
    measured: str
    columns: tuple[str, ...]
    readings: tuple[Line, ...]
    figures: tuple[dict[str, str], ...]
    pins: str
    override: Mapping[str, Any] | None


def figures(declaration: PremiseDeclaration, measured: PremiseDocument) -> dict[str, bytes]:
    """The figures by name, as PNG; none of what was not measured."""
    from orchestration.report.figures.premise import alignment, localisation

    drawn = {}
    if measured.localisation:
        drawn["localisation"] = localisation(declaration, measured)
    if measured.alignment:
        drawn["alignment"] = alignment(declaration, measured)
    return drawn


def view(evidence: "PremiseEvidence") -> PremiseView:
    """The section of the report."""
    override = evidence.override.document() if evidence.override else None
    return _view(evidence.declaration, evidence.measured, evidence.decision, evidence.pictures, override)


def page(
    declaration: PremiseDeclaration,
    measured: PremiseDocument,
    decision: ExperimentDecision,
    pictures: Mapping[str, bytes],
) -> str:
    """The audit's own page as HTML: the section of the report, alone."""
    from orchestration.report.page import environment, style

    shown = _view(declaration, measured, decision, pictures, None)
    return environment().get_template("premise_page.html.j2").render({"premise": shown, "style": style()})


def _view(
    declaration: PremiseDeclaration,
    measured: PremiseDocument,
    decision: ExperimentDecision,
    pictures: Mapping[str, bytes],
    override: Mapping[str, Any] | None,
) -> PremiseView:
    mark, frames = palette.mark(decision.verdict), "1 frame" if measured.frames == 1 else f"{measured.frames} frames"
    return PremiseView(
        mark=replace(mark, word=f"{mark.word}, FOR STAND-INS") if measured.standins else mark,
        notice=STANDINS if measured.standins else "",
        hypothesis=declaration.hypothesis,
        finding=decision.finding,
        claims=tuple(
            ClaimView(claim.says, palette.mark(claim.outcome), _sentence(claim.why), claim.section)
            for claim in decision.claims
        ),
        made=f"{measured.dataset.replace('_', ' ')}, profile {measured.profile}",
        measured=(
            f"{measured.n_clips} held-out clips, "
            f"probe trained on {measured.n_train}, {frames} of each, 95 % intervals over clips; "
            f"MobileSAM at {measured.mobile_sam_px} pixels"
        ),
        columns=COLUMNS,
        readings=(*_readings(measured), *([_reported(declaration)] if measured.localisation else [])),
        figures=tuple(
            {"caption": CAPTIONS[name], "base64": base64.b64encode(pictures[name]).decode("ascii")}
            for name in CAPTIONS
            if name in pictures
        ),
        pins=(
            f"Declaration {measured.declaration_sha256[:12]}, measured {measured.sha256[:12]}, "
            f"decision {decision.sha256[:12]}, data {measured.data_version}, code {measured.code_commit[:12]}."
        ),
        override=override,
    )


def _readings(measured: PremiseDocument) -> list[Line]:
    lines = []
    for name, reading in measured.localisation.items():
        gain = measured.difference(name, "qwen_postmerge")
        rows, columns = reading.grid
        cells = (
            _cell(reading.bbox_iou),
            _cell(reading.map50),
            _cell(gain.bbox_iou, "+") if gain else Cell(),
            Cell(f"{rows} x {columns}"),
        )
        lines.append(Line(NAMES[name], reading.standin, cells))
    return lines


def _reported(declaration: PremiseDeclaration) -> Line:
    said = declaration.proposal
    cells = (Cell(f"{said.bbox_iou.value:g}"), Cell(f"{said.map50.value:g}"), Cell(), Cell())
    return Line("As Q2 reported of Qwen (other clips)", False, cells)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _cell(measured: MetricValue, sign: str = "") -> Cell:
    if measured.value is None:
        return Cell()
    if measured.low is None or measured.high is None:
        return Cell(f"{measured.value:{sign}.3f}")
    return Cell(f"{measured.value:{sign}.3f}", f"{measured.low:{sign}.3f} – {measured.high:{sign}.3f}")
