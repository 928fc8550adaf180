"""The manifests of infra/kubernetes as kustomize puts them together, as far as the tests ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestration.home import REPOSITORY

KUBERNETES = REPOSITORY / "infra" / "kubernetes"
WORKLOADS = ("Deployment", "StatefulSet", "CronJob", "RayCluster")


@dataclass(frozen=True)
class Pod:
    """A pod template and what makes its pods."""

    owner: str
    kind: str
    replicas: int
    template: dict[str, Any]

    def __str__(self) -> str:
        return self.owner

    @property
    def labels(self) -> dict[str, str]:
        return self.template["metadata"]["labels"]

    @property
    def spec(self) -> dict[str, Any]:
        return self.template["spec"]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Those that stay, and those that only prepare."""
        return [*self.spec["containers"], *self.spec.get("initContainers", [])]


def kustomization() -> dict[str, Any]:
    return yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())


def resources() -> list[dict[str, Any]]:
    """Every object of every file that the kustomization names."""
    return [one for name in kustomization()["resources"] for one in documents(KUBERNETES / name)]


def documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in resources() if one["kind"] == kind]


def name(resource: dict[str, Any]) -> str:
    return resource["metadata"]["name"]


def pods() -> Iterator[Pod]:
    """Every pod template, those of Ray's groups too."""
    for one in resources():
        spec = one.get("spec", {})
        if one["kind"] in ("Deployment", "StatefulSet"):
            yield Pod(name(one), one["kind"], spec["replicas"], spec["template"])
        elif one["kind"] == "CronJob":
            yield Pod(name(one), "CronJob", 1, spec["jobTemplate"]["spec"]["template"])
        elif one["kind"] == "RayCluster":
            yield Pod("ray-head", "RayCluster", 1, spec["headGroupSpec"]["template"])
            for group in spec["workerGroupSpecs"]:
                yield Pod(f"ray-{group['groupName']}", "RayCluster", group["replicas"], group["template"])


def selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector by equality takes these labels."""
    assert set(selector) <= {"matchLabels"}, "only equality is used here"
    return selector.get("matchLabels", {}).items() <= labels.items()


def secrets() -> set[tuple[str, str]]:
    """Every (Secret, key) that a container refers to."""
    return {
        (one["valueFrom"]["secretKeyRef"]["name"], one["valueFrom"]["secretKeyRef"]["key"])
        for pod in pods()
        for container in pod.containers
        for one in container.get("env", [])
        if "secretKeyRef" in one.get("valueFrom", {})
    }


def amount(text: str) -> float:
    """A Kubernetes quantity as a number: cores, bytes or pieces."""
    ends = {"m": 1e-3, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    end = next((end for end in ("Mi", "Gi", "Ti", "m") if text.endswith(end)), "")
    return float(text.removesuffix(end)) * ends.get(end, 1)
