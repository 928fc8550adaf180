"""The manifests are valid, strictly and offline, and what they name exists, is hardened and has limits."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from orchestration.home import REPOSITORY
from tests.infra.manifests import (
    KUBERNETES,
    Pod,
    amount,
    documents,
    kustomization,
    name,
    of_kind,
    pods,
    resources,
    secrets,
    selected,
)

VERSION = "1.34"
PODS = list(pods())
GIB = 2**30
WRITES_NOTHING = ("instance", "proxy")
PROBES = ("readinessProbe", "livenessProbe")


class Strict(BaseModel):
    """The part of KubeRay's RayCluster that is used here, by its field reference; any other field is a misspelling."""

    model_config = ConfigDict(extra="forbid")


class Auth(Strict):
    mode: Literal["token"]
    secretName: str


Params = dict[Annotated[str, Field(pattern=r"^[a-z-]+$")], str]
"""Options of `ray start`: KubeRay takes strings alone."""


class Head(Strict):
    serviceType: Literal["ClusterIP"]
    rayStartParams: Params
    template: dict[str, Any]


class Group(Strict):
    groupName: str = Field(pattern=r"^[a-z0-9-]+$")
    replicas: int = Field(ge=0)
    minReplicas: int = Field(ge=0)
    maxReplicas: int = Field(ge=1)
    rayStartParams: Params
    template: dict[str, Any]


class RayClusterSpec(Strict):
    rayVersion: str
    authOptions: Auth
    headGroupSpec: Head
    workerGroupSpecs: list[Group]


def cluster() -> RayClusterSpec:
    (one,) = of_kind("RayCluster")
    assert one["apiVersion"] == "ray.io/v1"
    return RayClusterSpec.model_validate(one["spec"])


@pytest.mark.parametrize("resource", resources(), ids=lambda one: f"{one['kind']}/{name(one)}")
def test_every_object_is_valid_strictly(resource: dict[str, Any]) -> None:
    if resource["kind"] == "RayCluster":
        cluster()
        return
    kubernetes_validate.validate(resource, VERSION, strict=True)


@pytest.mark.parametrize("pod", [pod for pod in PODS if pod.kind == "RayCluster"], ids=str)
def test_the_pods_of_ray_are_valid_strictly(pod: Pod) -> None:
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "ray"}, "template": pod.template}
    kubernetes_validate.validate(template, VERSION, strict=True)


def test_what_is_misspelt_is_found() -> None:
    """The validation itself: a field that Kubernetes does not know fails."""
    one = of_kind("Deployment")[0]
    one["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(one, VERSION, strict=True)


def test_every_manifest_is_part_of_the_kustomization() -> None:
    there = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert there == set(kustomization()["resources"])
    for generated in kustomization()["configMapGenerator"]:
        assert all((KUBERNETES / file).is_file() for file in generated.get("files", []))


def test_everything_lies_in_the_one_namespace() -> None:
    (namespace,) = of_kind("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for one in resources():
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == name(namespace), name(one)


def test_there_is_no_secret_with_values_and_no_value_that_is_one() -> None:
    assert not of_kind("Secret")
    for pod in PODS:
        for container in pod.containers:
            for one in container.get("env", []):
                if re.search("PASSWORD|SECRET|TOKEN|KEY", one["name"]):
                    assert "secretKeyRef" in one["valueFrom"], f"{pod}: {one['name']}"
                elif "://" in one.get("value", ""):
                    assert re.fullmatch(r"[a-z0-9+]+://([a-z]+(:\$\([A-Z_]+\))?@)?[^@]+", one["value"]), one["value"]


def test_variables_in_values_are_defined_before_them() -> None:
    """Kubernetes fills $(NAME) in from what stands above it, and leaves it as it is otherwise."""
    shared = {text.split("=")[0] for one in kustomization()["configMapGenerator"] for text in one.get("literals", [])}
    for pod in PODS:
        for container in pod.containers:
            known = set(shared) if container.get("envFrom") else set()
            for one in container.get("env", []):
                assert set(re.findall(r"\$\((\w+)\)", one.get("value", ""))) <= known, f"{pod}: {one['name']}"
                known.add(one["name"])
            said = " ".join([*container.get("command", []), *container.get("args", [])])
            assert set(re.findall(r"\$\((\w+)\)", said)) <= known, f"{pod}: {said}"


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_every_pod_is_hardened(pod: Pod) -> None:
    security = pod.spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod.spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)
    for container in pod.containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, container["name"]
        mounted = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        assert "/tmp" in mounted or container["name"] in WRITES_NOTHING, f"{container['name']} has no place for scratch"


@pytest.mark.parametrize("pod", PODS, ids=str)
def test_every_container_has_limits_and_every_memory_volume_fits_them(pod: Pod) -> None:
    for container in pod.containers:
        for what in ("cpu", "memory"):
            asked, most = (amount(container["resources"][which][what]) for which in ("requests", "limits"))
            assert 0 < asked <= most, f"{container['name']}: {what}"
    held = sum(
        amount(volume["emptyDir"]["sizeLimit"])
        for volume in pod.spec.get("volumes", [])
        if volume.get("emptyDir", {}).get("medium") == "Memory"
    )
    assert held < amount(pod.spec["containers"][0]["resources"]["limits"]["memory"])
    for volume in pod.spec.get("volumes", []):
        assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], volume["name"]


@pytest.mark.parametrize("pod", [pod for pod in PODS if pod.kind != "CronJob"], ids=str)
def test_what_stays_up_is_probed(pod: Pod) -> None:
    for container in pod.spec["containers"]:
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in PROBES:
            asked = container[probe]
            port = next((asked[how]["port"] for how in ("httpGet", "tcpSocket") if how in asked), None)
            assert not isinstance(port, str) or port in ports, f"{container['name']}: {probe} asks port {port}"


def test_images_are_pinned_and_both_of_ours_by_one_commit() -> None:
    ours = {one["name"]: one["newTag"] for one in kustomization()["images"]}
    assert set(ours) == {"foresight/control-plane", "foresight/worker"}
    assert len(set(ours.values())) == 1
    assert re.fullmatch("[0-9a-f]{40}", next(iter(ours.values())))
    for pod in PODS:
        for container in pod.containers:
            image = container["image"]
            assert image in ours or re.search(r":v?\d+\.\d+", image), f"{pod}: {image}"
            assert "latest" not in image
    assert all(
        ("worker" in c["image"]) == (pod.kind == "RayCluster")
        for pod in PODS
        for c in pod.containers
        if c["image"] in ours
    )


def test_volumes_and_what_they_take_exist() -> None:
    claims = {name(one) for one in of_kind("PersistentVolumeClaim")}
    maps = {one["name"] for one in kustomization()["configMapGenerator"]}
    accounts = {name(one) for one in of_kind("ServiceAccount")}
    for pod in PODS:
        volumes = {one["name"]: one for one in pod.spec.get("volumes", [])}
        own = {"data"} if pod.kind == "StatefulSet" else set()
        for container in pod.containers:
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounts <= set(volumes) | own, f"{pod}: {mounts}"
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in maps
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName", next(iter(claims))) in claims
            assert volume.get("configMap", {}).get("name", next(iter(maps))) in maps
        assert pod.spec["serviceAccountName"] in accounts
    assert all(one["automountServiceAccountToken"] is False for one in of_kind("ServiceAccount"))


@pytest.mark.parametrize("service", of_kind("Service"), ids=name)
def test_every_service_finds_pods_and_their_port_and_is_inside_only(service: dict[str, Any]) -> None:
    found = [pod for pod in PODS if service["spec"]["selector"].items() <= pod.labels.items()]
    assert found
    assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
    for port in service["spec"]["ports"]:
        for pod in found:
            assert port["targetPort"] in {one["name"] for one in pod.spec["containers"][0]["ports"]}


def test_every_workload_finds_its_own_pods() -> None:
    for one in (*of_kind("Deployment"), *of_kind("StatefulSet")):
        assert selected(one["spec"]["selector"], one["spec"]["template"]["metadata"]["labels"]), name(one)


def test_addresses_within_the_cluster_are_those_of_services() -> None:
    services = {(name(one), port["port"]) for one in of_kind("Service") for port in one["spec"]["ports"]}
    services.add(("foresight-head-svc", 8265))  # KubeRay makes it, by the name of the cluster
    text = " ".join(path.read_text() for path in KUBERNETES.rglob("*.yaml"))
    found = re.findall(r"(?:http|postgresql|postgresql\+psycopg2)://(?:[^@\s/]+@)?([a-z0-9-]+):(\d+)", text)
    assert {"postgres", "mlflow", "foresight-head-svc", "dagster-webserver"} <= {host for host, _ in found}
    for host, port in found:
        assert (host, int(port)) in services, host
    (server,) = yaml.safe_load((KUBERNETES / "config" / "workspace.yaml").read_text())["load_from"]
    assert (server["grpc_server"]["host"], server["grpc_server"]["port"]) in services


def test_nothing_speaks_but_by_a_policy_and_each_edge_has_both_ends() -> None:
    policies = {name(one): one["spec"] for one in of_kind("NetworkPolicy")}
    assert policies.pop("deny-all") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}

    def reached(selector: dict[str, Any]) -> set[str]:
        return {pod.owner for pod in PODS if selected(selector, pod.labels)}

    incoming: set[tuple[str, str, int | None]] = set()
    outgoing: set[tuple[str, str, int | None]] = set()
    for policy in policies.values():
        here = reached(policy["podSelector"])
        assert here, policy
        for way, found in (("ingress", incoming), ("egress", outgoing)):
            for rule in policy.get(way, []):
                peers = [
                    peer["podSelector"]
                    for peer in rule["from" if way == "ingress" else "to"]
                    if set(peer) == {"podSelector"}
                ]
                ports = [port["port"] for port in rule.get("ports", [{"port": None}])]
                for there in {pod for peer in peers for pod in reached(peer)}:
                    for one in here:
                        for port in ports:
                            found.add((there, one, port) if way == "ingress" else (one, there, port))
                assert not peers or any(reached(peer) for peer in peers), policy
    assert incoming == outgoing, "an edge that one end closes is none"
    for edge in [
        ("dagster-code", "postgres", 5432),
        ("dagster-code", "ray-head", 8265),
        ("dagster-daemon", "dagster-code", 4000),
        ("page-mlflow", "mlflow", 5000),
        ("ray-a100-80gb", "mlflow", 5000),
        ("ray-a100-80gb", "ray-head", None),
        ("backup", "postgres", 5432),
    ]:
        assert edge in incoming, edge
    asks_postgres = {one for one, there, _ in incoming if there == "postgres"}
    assert asks_postgres == {"dagster-code", "dagster-webserver", "dagster-daemon", "mlflow", "backup"}
    assert {one for one, there, port in incoming if there == "ray-head" and port == 8265} == {"dagster-code"}


def test_pages_are_reached_through_their_proxies_alone() -> None:
    (ingress,) = of_kind("Ingress")
    hosts = {rule["host"] for rule in ingress["spec"]["rules"]}
    assert {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]} == hosts
    for rule in ingress["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            (proxy,) = (pod for pod in PODS if pod.owner == path["backend"]["service"]["name"])
            assert "oauth2-proxy" in proxy.spec["containers"][0]["image"]
            assert f"--redirect-url=https://{rule['host']}/oauth2/callback" in proxy.spec["containers"][0]["args"]


def test_disruption_budgets_cover_what_must_not_be_taken() -> None:
    budgets = {name(one): one["spec"] for one in of_kind("PodDisruptionBudget")}
    covered = {pod.owner for spec in budgets.values() for pod in PODS if selected(spec["selector"], pod.labels)}
    assert covered == {pod.owner for pod in PODS} - {"backup", "mlflow"}
    for spec in budgets.values():
        assert any(selected(spec["selector"], pod.labels) for pod in PODS)


def test_all_of_it_fits_the_quota() -> None:
    (quota,) = (one["spec"]["hard"] for one in of_kind("ResourceQuota"))
    for what, of in (("limits.cpu", "cpu"), ("limits.memory", "memory"), ("requests.nvidia.com/gpu", "nvidia.com/gpu")):
        asked = sum(
            pod.replicas * amount(container["resources"]["limits"].get(of, "0"))
            for pod in PODS
            for container in pod.spec["containers"]
        )
        assert asked <= amount(quota[what]), what
    assert sum(pod.replicas for pod in PODS) <= int(quota["pods"])


def test_each_group_of_workers_declares_what_its_pods_have() -> None:
    spec = cluster()
    assert spec.rayVersion == re.search(r"^ray==(\S+) ", (REPOSITORY / "requirements.lock").read_text(), re.M)[1]  # type: ignore[index]
    for group in spec.workerGroupSpecs:
        container, params = group.template["spec"]["containers"][0], group.rayStartParams
        limits = container["resources"]["limits"]
        assert group.minReplicas <= group.replicas <= group.maxReplicas
        assert amount(limits["cpu"]) == int(params["num-cpus"])
        shared = next(v for v in group.template["spec"]["volumes"] if v["name"] == "shared-memory")
        memory = int(params["memory"]) + amount(shared["emptyDir"]["sizeLimit"])
        assert memory <= amount(limits["memory"]) - 4 * GIB, "room for Ray itself"
        assert int(params["object-store-memory"]) <= amount(shared["emptyDir"]["sizeLimit"])
        if "nvidia.com/gpu" not in limits:
            continue
        gpus = int(limits["nvidia.com/gpu"])
        assert int(params["num-gpus"]) == gpus
        declared = json.loads(json.loads(params["resources"]))
        ((kind, count),) = declared.items()
        assert count == gpus
        assert kind.lower() == f"accelerator_type:{group.groupName}"
        product = group.template["spec"]["nodeSelector"]["nvidia.com/gpu.product"]
        assert kind.removeprefix("accelerator_type:").split("-")[0] in product
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in group.template["spec"][
            "tolerations"
        ]


def needs() -> dict[str, Any]:
    """What the stages of the A100 profile ask for, by their kind of work."""
    profile = yaml.safe_load((REPOSITORY / "config" / "profiles" / "a100.yaml").read_text())
    if "dispatch" not in profile:
        pytest.skip("the A100 profile says nothing of dispatch")
    return profile["dispatch"]["stages"]


@pytest.mark.parametrize("role", ["ingest", "extraction", "audit", "training", "evaluation"])
def test_what_a_stage_asks_for_is_had_by_a_group(role: str) -> None:
    asked = needs()[role]
    kinds = {f"accelerator_type:{gpus['kind']}": gpus.get("count", 1) for gpus in asked.get("gpus", [])}

    def takes(group: Group) -> bool:
        params = group.rayStartParams
        declared = json.loads(json.loads(params["resources"])) if "resources" in params else {}
        fits = int(params["num-cpus"]) >= asked["cpus"] and int(params["memory"]) >= asked["memory_gib"] * GIB
        return fits and (not kinds or any(declared.get(kind, 0) >= count for kind, count in kinds.items()))

    assert any(takes(group) for group in cluster().workerGroupSpecs)


def test_every_secret_is_documented_with_its_keys() -> None:
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    rows = dict(re.findall(r"^\| `(foresight-[a-z]+)` \| (.*?) \|", text, re.M))
    documented = {(secret, key) for secret, keys in rows.items() for key in re.findall(r"`([a-z_.]+)`", keys)}
    used = secrets() | {(cluster().authOptions.secretName, "auth_token")}
    used |= {
        (tls["secretName"], key)
        for one in of_kind("Ingress")
        for tls in one["spec"]["tls"]
        for key in ("tls.crt", "tls.key")
    }
    assert used == documented


def test_the_backup_reads_the_home_where_it_is_mounted_and_changes_nothing() -> None:
    (backup,) = (pod for pod in PODS if pod.owner == "backup")
    (rule,) = backup.spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert [pod.owner for pod in PODS if selected(rule["labelSelector"], pod.labels)] == ["dagster-code"]
    home = next(mount for mount in backup.spec["containers"][0]["volumeMounts"] if mount["name"] == "home")
    assert home["readOnly"] is True
    assert ("foresight-backups", "access_key_id") in secrets()
    assert documents(KUBERNETES / "backup.yaml")[0]["spec"]["concurrencyPolicy"] == "Forbid"
