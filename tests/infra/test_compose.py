"""compose.yaml is valid by the Compose Specification, hardened, and runs what Kubernetes runs."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from orchestration.home import REPOSITORY
from tests.infra.compose_schema import compose_schema
from tests.infra.manifests import pods

FOLDER = REPOSITORY / "infra" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = re.compile(r"foresight/(control-plane|worker):\$\{CODE_COMMIT:\?[^}]+\}")
PUBLISHED = re.compile(r"127\.0\.0\.1:\d+:\d+")


def test_it_is_valid_by_its_schema() -> None:
    Draft202012Validator(compose_schema()).validate(COMPOSE)


def test_what_is_misspelt_is_found() -> None:
    wrong = {"services": {"one": {"image": "one:1.0", "healtcheck": {}}}}
    with pytest.raises(ValidationError, match="healtcheck"):
        Draft202012Validator(compose_schema()).validate(wrong)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_pinned_limited_and_watched(name: str) -> None:
    one = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", one["user"]), "root"
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "cap_add"} & set(one)
    assert OURS.fullmatch(one["image"]) or re.search(r":\d+\.\d+", one["image"]), one["image"]
    assert {"cpus", "memory"} <= set(one["deploy"]["resources"]["limits"])
    assert "healthcheck" in one or "operations" in one["profiles"]
    for port in one.get("ports", []):
        assert PUBLISHED.fullmatch(port), f"{port} listens beyond loopback"
    writable = [
        mount.split(":")[0] for mount in [*one.get("tmpfs", []), *(v.split(":", 1)[1] for v in one.get("volumes", []))]
    ]
    assert "/tmp" in writable or not one.get("tmpfs"), "the root file system is read-only: scratch needs a place"


def test_passwords_come_from_the_environment_file_alone() -> None:
    example = dict(
        line.split("=", 1)
        for line in (FOLDER / "secrets.env.example").read_text().splitlines()
        if "=" in line and line[0] != "#"
    )
    assert set(example.values()) == {""}, "an example holds no value"
    text = (FOLDER / "compose.yaml").read_text()
    needed = set(re.findall(r"\$\{(\w+)(?::\?[^}]*)?\}", text)) - set(re.findall(r"\$\{(\w+):-", text))
    assert needed == set(example)
    for name, one in SERVICES.items():
        for variable, value in (one.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", variable):
                assert re.fullmatch(r"\$\{\w+:\?\}", value), f"{name}: {variable}"
    assert (FOLDER / ".gitignore").read_text() == "/secrets.env\n"


def test_services_networks_volumes_and_files_exist() -> None:
    for name, one in SERVICES.items():
        assert set(one["networks"]) <= set(COMPOSE["networks"]), name
        for other, how in one.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy"
            assert "healthcheck" in SERVICES[other]
        for volume in one.get("volumes", []):
            source = volume.split(":/")[0]
            if source.startswith("../"):
                assert (FOLDER / source).is_file(), source
            elif not source.startswith("$"):
                assert source in COMPOSE["volumes"], source
    text = (FOLDER / "compose.yaml").read_text()
    for host in re.findall(r"(?:http|postgresql|postgresql\+psycopg2)://(?:[^@\s/]+@)?([a-z0-9-]+):\d+", text):
        assert host in SERVICES or host == "127.0.0.1", host


def test_who_is_addressed_shares_a_network() -> None:
    for name, one in SERVICES.items():
        said = " ".join([*map(str, (one.get("environment") or {}).values()), *map(str, one.get("command", []))])
        for host in set(re.findall(r"(?://|@|=)([a-z0-9-]+):\d{4}", said)) & set(SERVICES):
            assert set(one["networks"]) & set(SERVICES[host]["networks"]), f"{name} cannot reach {host}"


def test_only_pages_can_be_reached_and_only_the_code_server_reaches_out() -> None:
    open_to_outside = {name for name, one in COMPOSE["networks"].items() if not one.get("internal")}
    assert open_to_outside == {"pages", "outside"}
    assert {name for name, one in SERVICES.items() if one.get("ports")} == {
        name for name, one in SERVICES.items() if "pages" in one["networks"]
    }
    assert [name for name, one in SERVICES.items() if "outside" in one["networks"]] == ["dagster-code"]


def test_the_worker_reserves_gpus_and_says_which() -> None:
    worker = SERVICES["ray-worker"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"], device["count"]) == ("nvidia", ["gpu"], "${GPUS:-1}")
    assert '--resources={"accelerator_type:${GPU_KIND:-A100-80GB}":${GPUS:-1}}' in worker["command"]
    assert "--num-gpus=${GPUS:-1}" in worker["command"]
    assert not any("devices" in str(one["deploy"]) for name, one in SERVICES.items() if name != "ray-worker")


def test_it_runs_the_images_that_kubernetes_runs() -> None:
    theirs = {container["image"] for pod in pods() for container in pod.containers}
    foreign = {one["image"] for one in SERVICES.values() if not OURS.fullmatch(one["image"])}
    assert foreign == {"postgres:15.18-bookworm"}
    assert foreign <= theirs
