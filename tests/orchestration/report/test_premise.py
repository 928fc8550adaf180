"""The premise on the page: in plain words, with its stand-ins named, and nothing of what was not measured."""

import json

from orchestration.experiments.premise import decide
from orchestration.experiments.record import ExperimentLog
from orchestration.home import Home
from orchestration.jobs import PREMISE
from orchestration.record.store import Store
from orchestration.report import premise
from orchestration.report.collect import collect
from orchestration.report.page import render
from tests.orchestration.experiments.audits import DECLARATION, audit
from tests.orchestration.report.test_page import text
from tests.orchestration.test_jobs import job


def decided(measured):
    return decide(DECLARATION, measured, standins_decide=["laptop"])


def page(measured) -> str:
    return premise.page(DECLARATION, measured, decided(measured), premise.figures(DECLARATION, measured))


def audited(home: Home, measured, *, record: bool = True) -> None:
    """Leave an audit where the stage leaves it."""
    folder = home.run("moving_shapes", PREMISE)
    job(PREMISE, out=folder, home=home.root, declaration=DECLARATION).write()
    (folder / "audit.json").write_text(json.dumps(measured.document()))
    (folder / "figures").mkdir()
    for name, png in premise.figures(DECLARATION, measured).items():
        (folder / "figures" / f"{name}.png").write_bytes(png)
    if record:
        ExperimentLog(Store(home.database)).record(decided(measured))


def test_the_page_says_in_words_whether_the_premise_stands_and_why():
    made = page(audit())
    seen = text(made)
    assert "✓ STANDS" in seen
    assert "The premise of the pivot stands." in seen
    assert "Qwen pre-merge, order restored: Bounding Box IoU 0.150 (0.130 .. 0.170), below 0.3" in seen
    assert "As Q2 reported of Qwen (other clips) 0.104 0.001" in seen
    assert "stand-in" not in seen
    assert made.count("<figure>") == 2
    assert "http" not in made


def test_stand_ins_are_named_wherever_one_stood_in():
    document = audit(standins=True, profile="laptop").document()
    document["localisation"]["dinov2"]["standin"] = True
    seen = text(page(type(audit()).model_validate(document)))
    assert "✓ STANDS, FOR STAND-INS" in seen
    assert "Made with stand-ins." in seen
    assert "DINOv2 stand-in" in seen
    assert "MobileSAM stand-in" not in seen


def test_without_masks_the_page_says_so_and_shows_no_probe():
    seen = text(page(audit(localisation={}, differences=[])))
    assert "? OPEN" in seen
    assert "they have no masks" in seen
    assert "Bounding Box IoU 0" not in seen


def test_the_report_has_the_audit_before_phase_1_with_the_word_that_overrode_it(ran):
    measured = audit({"qwen_premerge": 0.58}, profile="laptop", standins=True)
    audited(ran.home, measured)
    ExperimentLog(Store(ran.home.database)).approve(PREMISE, "A. <Chair>", "we go on", profile="laptop")
    bundle = collect(ran.home)
    seen = text(render(bundle))
    assert seen.index("✕ FALLS, FOR STAND-INS") < seen.index("Phase 1 Spatial reconstruction ")
    assert "Overridden by A. &lt;Chair&gt;" in seen
    assert "Premise on moving_shapes: falls" in seen
    assert bundle.chain_broken is None


def test_an_audit_that_was_not_decided_is_not_on_the_page(ran):
    audited(ran.home, audit(), record=False)
    assert collect(ran.home).premise is None
    assert "Premise audit" not in text(render(collect(ran.home)))
