"""What docs/security.md names is there: a defence that moved away is no defence."""

import re

from orchestration.home import REPOSITORY

TEXT = (REPOSITORY / "docs" / "security.md").read_text("utf-8")


def test_every_file_that_is_named_exists():
    named = set(re.findall(r"`((?:[\w.]+/)+[\w.]+\.\w+)`", TEXT))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (REPOSITORY / name).is_file()] == []


def test_every_threat_has_a_defence_and_a_test():
    table = TEXT.split("## Threats")[1].split("##")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for threat, _, tested in rows:
        assert re.search(r"`tests/", tested), threat
