"""What docs/operations.md tells people to type exists."""

from __future__ import annotations

import re

import pytest
import typer
import yaml

from orchestration.cli.app import ENTRIES, load
from orchestration.home import REPOSITORY
from tests.infra.manifests import kustomization, name, resources

TEXT = (REPOSITORY / "docs" / "operations.md").read_text()
COMMANDS = sorted(set(re.findall(r"(?:^    |`|-- )foresight ([a-z]+)(?: ([a-z]+))?", TEXT, re.M)))


@pytest.mark.parametrize(("command", "rest"), COMMANDS)
def test_every_foresight_command_exists(command: str, rest: str) -> None:
    assert command in ENTRIES
    if rest:
        found = load(command)
        assert isinstance(found, typer.core.TyperGroup)
        assert rest in found.commands


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", TEXT, re.M)) <= targets


def test_every_object_of_kubernetes_exists() -> None:
    there = {(one["kind"].lower(), name(one)) for one in resources()}
    named = set(re.findall(r"\b(deployment|cronjob)/([a-z-]+)", TEXT))
    assert {("deployment", "dagster-code"), ("deployment", "dagster-daemon"), ("cronjob", "backup")} <= named
    assert named <= there


def test_every_service_of_compose_exists() -> None:
    services = yaml.safe_load((REPOSITORY / "infra" / "compose" / "compose.yaml").read_text())["services"]
    named = set(re.findall(r"docker compose --env-file secrets\.env (?:exec|run --rm) ([a-z-]+)", TEXT))
    assert named == {"dagster-code", "backup"}
    assert named <= set(services)


def test_every_variable_and_file_exists() -> None:
    compose = (REPOSITORY / "infra" / "compose" / "compose.yaml").read_text()
    literals = str(kustomization()["configMapGenerator"]) + str(resources())
    for variable in re.findall(r"^\| `([A-Z_]{6,})`", TEXT, re.M):
        image = (REPOSITORY / "infra" / "images" / "Dockerfile").read_text()
        assert variable in compose + image, variable
        assert variable in literals + image, variable
    for path in re.findall(r"`((?:infra|config|tests)/[\w./-]+)`", TEXT):
        assert (REPOSITORY / path).exists(), path
