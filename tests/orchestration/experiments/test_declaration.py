"""The declaration is closed: what it does not know, or does not measure, it refuses in one line."""

import pytest
import yaml

from orchestration.experiments.declaration import EXPERIMENTS, load
from orchestration.plan.programme_file import ProgrammeError
from orchestration.profile import load as profile


def changed(tmp_path, change):
    table = yaml.safe_load((EXPERIMENTS / "premise.yaml").read_text())
    change(table)
    path = tmp_path / "premise.yaml"
    path.write_text(yaml.safe_dump(table, sort_keys=False))
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.update(threshold=1), "threshold: unknown key; allowed: "),
        (lambda t: t.pop("rule"), "rule: missing"),
        (lambda t: t["rule"]["lacks_place"].update(holds_below=0.6), "holds_below 0.6 is above fails_above 0.5"),
        (lambda t: t["localisation"]["encoders"].pop("dinov2"), "dinov2: judged or compared, but not under"),
        (lambda t: t["localisation"].update(differences=[]), "dinov2 less qwen_postmerge is not among the differences"),
        (lambda t: t["sizes"].pop("a100"), "sizes: a100 missing"),
        (lambda t: t["hypothesis"].update(section="7"), "hypothesis.section"),
    ],
)
def test_a_declaration_that_says_something_else_is_refused_by_name(tmp_path, change, says):
    with pytest.raises(ProgrammeError) as refused:
        load(changed(tmp_path, change))
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_threshold_is_another_experiment(tmp_path):
    path = changed(tmp_path, lambda table: table["rule"]["supplied"].update(margin=0.04))
    assert load(path).sha256 != load().sha256


def test_a_profile_of_ones_own_takes_the_sizes_of_its_kind():
    declaration, laptop, a100 = load(), profile("laptop"), profile("a100")
    assert declaration.sizes_of(laptop.model_copy(update={"name": "mine"})) == declaration.sizes_of(laptop)
    assert declaration.sizes_of(a100.model_copy(update={"name": "mine"})) == declaration.sizes_of(a100)
    assert declaration.sizes_of(a100).mobile_sam_px == 1024
