"""A secret that is planted in a copy of the repository's files is found; what only looks like one is let pass, once."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.audit.allowed import Allowed, AllowedError, read
from infra.audit.secret_scan import judge, main, scan
from orchestration.home import REPOSITORY

ALLOWED = read()
# Put together here: this file is scanned too.
KEY_ID = "AKIA" + "QYLPMN5HFIQR7XYA"
PRIVATE = "-----BEGIN " + "RSA PRIVATE KEY-----"
TOKEN = "ghp_" + "x7Kd93kfLqP0" * 3
HEX = hashlib.sha256(b"planted").hexdigest()


@pytest.fixture
def copy(tmp_path) -> Path:
    """A checkout with every file that something is let pass in, and some more."""
    names = {entry.file for entry in ALLOWED.secrets} | {"Makefile", "params.yaml", "infra/stack/seaweedfs.py"}
    for name in sorted(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    return tmp_path


def test_the_files_as_they_are_pass(copy, capsys):
    assert main([str(copy)]) == 0
    assert f"{len(ALLOWED.secrets)} texts let pass" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "line", "secret"),
    [
        ("Makefile", f"export AWS_ACCESS_KEY_ID := {KEY_ID}", KEY_ID),
        ("params.yaml", f"# {PRIVATE}", "MIIE"),
        ("infra/stack/seaweedfs.py", f'TOKEN = "{TOKEN}"', TOKEN),
        ("infra/stack/seaweedfs.py", "password" + f' = "{HEX}"', HEX),
        ("tests/s3.py", f'KEY_ID = "{KEY_ID}"  # pragma: allowlist secret', KEY_ID),
        ("tests/s3.py", 'URL = "postgresql://ada:' + 'Xk29_fq@db/budget"', "Xk29_fq"),
    ],
)
def test_a_planted_secret_is_found_and_not_repeated(copy, capsys, file, line, secret):
    lines = (copy / file).read_text().splitlines()
    (copy / file).write_text("\n".join([*lines, line]) + "\n")
    assert main([str(copy)]) == 1
    said = capsys.readouterr()
    assert f"{file}:{len(lines) + 1}: looks like a secret" in said.err
    assert secret not in said.err + said.out


def test_another_text_in_the_place_of_an_allowed_one_is_found_and_the_entry_is_stale(copy, capsys):
    path = copy / "tests" / "s3.py"
    lines = path.read_text().splitlines()
    changed = next(number for number, line in enumerate(lines, 1) if "FORESIGHTTESTKEY" in line)
    path.write_text(path.read_text().replace("FORESIGHTTESTKEY", "FORESIGHTLIVEKEY"))
    assert main([str(copy)]) == 1
    said = capsys.readouterr().err
    assert f"tests/s3.py:{changed}: looks like a secret" in said
    assert "is not found any more; remove the entry" in said


def test_hashes_and_commits_are_no_findings(tmp_path):
    (tmp_path / "pins.py").write_text(f'SHA256 = "{HEX}"\nCOMMIT = "{HEX[:40]}"\nOTHER = "{HEX[:32]}"\n')
    assert [found.line for found in scan(tmp_path, ["pins.py"])] == [3]


def test_a_folder_that_is_no_checkout_is_wrong_input(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("secrets: [{file: a, kind: b, sha1: " + "0" * 40 + "}]", "reason: Field required"),
        ("secrets: [{file: a, kind: b, sha1: " + "0" * 40 + ", reason: '  '}]", "reason"),
        ("advisories: [{id: CVE-1, package: p, reason: not reached from here}]", "until: Field required"),
        ("more: []", "more"),
        ("a: [", "cannot be read"),
    ],
)
def test_an_entry_without_a_reason_or_an_end_is_refused(tmp_path, content, said):
    (tmp_path / "allowed.yaml").write_text(content)
    with pytest.raises(AllowedError, match=said) as refused:
        read(tmp_path / "allowed.yaml")
    assert "\n" not in str(refused.value)


def test_nothing_found_and_nothing_let_pass_is_no_complaint():
    assert list(judge([], Allowed())) == []
