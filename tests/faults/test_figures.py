"""The table of faults: a test that says too little, or found something lost, makes a row that fails."""

import json
import subprocess
import sys

import pytest

from orchestration.home import REPOSITORY
from tests.faults.figures import Rows
from tests.faults.rows import FaultRow

RIGHT = {"ended": "clear failure", "twice": 0, "lost": 0}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (RIGHT, ""),
        (RIGHT | {"budget_off_s": -9.9}, ""),
        ({}, "did not say"),
        (RIGHT | {"ended": ""}, "did not say"),
        (RIGHT | {"twice": 1}, "1 done twice, 0 lost"),
        (RIGHT | {"lost": 3}, "0 done twice, 3 lost"),
        (RIGHT | {"budget_off_s": -10.1}, "off by -10.1 s"),
    ],
)
def test_what_a_row_must_be(said, why):
    wrong = FaultRow("a fault", **said).wrong()
    assert why in wrong
    assert bool(wrong) == bool(why)


def test_the_rows_of_a_run_and_a_test_that_failed(pytester_folder):
    plugin = Rows()
    pytest.main([str(pytester_folder), "-p", "no:cacheprovider", "-q"], plugins=[plugin])
    assert [(row["fault"], bool(row["wrong"])) for row in plugin.rows] == [("held", False), ("lost", True)]


@pytest.fixture
def pytester_folder(tmp_path):
    (tmp_path / "conftest.py").write_text("from tests.faults.conftest import fault_row, pytest_runtest_makereport\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = fault(name)\n")
    (tmp_path / "test_two.py").write_text(
        "import pytest\n"
        "def fill(row, lost):\n    row.ended, row.twice, row.lost = 'right result', 0, lost\n"
        "@pytest.mark.fault('held')\ndef test_held(fault_row):\n    fill(fault_row, 0)\n"
        "@pytest.mark.fault('lost')\ndef test_lost(fault_row):\n    fill(fault_row, 2)\n"
    )
    return tmp_path


def test_the_command_prints_one_document(tmp_path):
    command = [sys.executable, "-m", "tests.faults.figures", "--kills", "1", "--json", "--only", "none_such"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    (row,) = document["rows"]
    assert (row["ended"], row["twice"], row["lost"], row["wrong"]) == ("right result", 0, 0, "")
