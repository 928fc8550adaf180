"""The Dockerfile: pinned, from the lock by its hashes, nothing as root, no secret, nothing from the net unchecked."""

from __future__ import annotations

import re

import pytest

from orchestration import versioning
from orchestration.home import REPOSITORY

IMAGES = REPOSITORY / "infra" / "images"


def instructions() -> list[tuple[str, str]]:
    """(instruction, its arguments) in order, continued lines joined."""
    lines = [line for line in (IMAGES / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in joined.split("\n") if line)
    ]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, by its name."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            found[rest.split(" AS ")[1]] = []
        found[list(found)[-1]].append((word, rest))
    return found


def test_bases_are_pinned_by_version() -> None:
    own = set(stages())
    for name, said in stages().items():
        base = said[0][1].split(" AS ")[0]
        assert base in own or re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+-[a-z-]+", base), f"{name}: {base}"
    assert len({said[0][1].split(" AS ")[0] for said in stages().values()} - own) == 1, "two bases, two libcs"


@pytest.mark.parametrize("target", ["control-plane", "worker"])
def test_what_runs_is_no_root(target: str) -> None:
    said = stages()[target]
    users = [(index, rest) for index, (word, rest) in enumerate(said) if word == "USER"]
    assert [rest for _, rest in users] == ["10001:10001"]
    assert all(word not in ("RUN", "COPY") for word, _ in said[users[0][0] :]), "nothing is made after the switch"


def test_both_images_are_the_same_lock_and_code() -> None:
    found = stages()
    assert {found[target][0][1].split(" AS ")[0] for target in ("control-plane", "worker")} == {"base"}
    installs = [rest for _, rest in instructions() if "pip install" in rest]
    lock = [rest for rest in installs if "requirements.lock" in rest]
    assert len(lock) == 1
    assert {"--require-hashes", "--no-deps"} <= set(lock[0].split())
    for rest in installs:
        assert "--no-deps" in rest or re.search(r"uv==\d+\.\d+\.\d+", rest), rest


def test_uv_is_the_one_of_the_makefile() -> None:
    version = re.search(r"^UV_VERSION := (\S+)$", (REPOSITORY / "Makefile").read_text(), re.M)
    assert version
    assert any(f"uv=={version[1]}" in rest for _, rest in instructions())


def test_nothing_comes_from_the_net_unchecked_and_no_secret_is_baked_in() -> None:
    for word, rest in instructions():
        assert word != "ADD"
        assert not re.search(r"\b(curl|wget)\b", rest), rest
        if word in ("ARG", "ENV"):
            assert not re.search("PASSWORD|SECRET|TOKEN|ACCESS_KEY", rest), rest
        assert ":latest" not in rest


def test_what_stays_out_of_the_context() -> None:
    ignored = {
        line for line in (IMAGES / "Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"
    }
    assert {".git", ".venv", ".foresight", "**/*.env", "**/secrets"} <= ignored
    for needed in (
        "requirements.lock",
        "pyproject.toml",
        "models",
        "assets",
        "orchestration",
        "infra",
        "config",
        "dvc.yaml",
        "params.yaml",
    ):
        assert needed not in ignored
        assert (REPOSITORY / needed).exists()


def test_an_image_knows_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no git tree in an image: the commit that it was built from stands in its environment."""
    assert any("FORESIGHT_CODE_COMMIT=$CODE_COMMIT" in rest for word, rest in instructions() if word == "ENV")
    monkeypatch.setattr(versioning, "_git", lambda *_: "")
    monkeypatch.setenv("FORESIGHT_CODE_COMMIT", "c0ffee")
    versioning.code_commit.cache_clear()
    try:
        assert versioning.code_commit() == "c0ffee"
        monkeypatch.delenv("FORESIGHT_CODE_COMMIT")
        versioning.code_commit.cache_clear()
        assert versioning.code_commit() == "none"
    finally:
        versioning.code_commit.cache_clear()
