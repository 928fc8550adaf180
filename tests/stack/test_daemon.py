"""What Dagster does by itself over the same home: the page's button, and a sensor that a person switched on."""

import json
import time
import urllib.request

import pytest

from orchestration.definitions import PROGRAMME
from tests.stack.conftest import foresight

pytestmark = pytest.mark.stack
CODE = {"repositoryName": "__repository__", "repositoryLocationName": "orchestration.definitions"}
LAUNCH = """mutation($given: ExecutionParams!) { launchPipelineExecution(executionParams: $given) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on InvalidSubsetError { message } } }"""
START = """mutation($given: SensorSelector!) { startSensor(sensorSelector: $given) {
  __typename ... on Sensor { sensorState { status } } ... on PythonError { message } } }"""
TICKS = """query($given: SensorSelector!) { sensorOrError(sensorSelector: $given) {
  ... on Sensor { sensorState { ticks(limit: 20) { status skipReason } } } } }"""
RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status assetMaterializations { assetKey { path } \
metadataEntries { label ... on BoolMetadataEntry { boolValue } } } } } }"
RUNS = """query($job: String!) { runsOrError(filter: {pipelineName: $job}) {
  ... on Runs { results { runId status } } } }"""


def _ask(page: str, query: str, **variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{page}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        said = json.load(answer)
    assert "errors" not in said, said
    return next(iter(said["data"].values()))


def _until(found, patience: float, what: str):
    deadline = time.monotonic() + patience
    while not (answer := found()):
        assert time.monotonic() < deadline, f"no {what} in {patience:.0f} s"
        time.sleep(2)
    return answer


def _ended(page: str, run: str):
    answer = _ask(page, RUN, id=run)
    return answer if answer["status"] in {"SUCCESS", "FAILURE", "CANCELED"} else None


def test_the_programmes_job_in_the_page_does_what_the_run_did(pages):
    selector = {**CODE, "pipelineName": PROGRAMME}
    launched = _ask(pages[0], LAUNCH, given={"selector": selector, "mode": "default", "runConfigData": {}})
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run = _until(lambda: _ended(pages[0], launched["run"]["runId"]), 600, "end of the run")
    assert run["status"] == "SUCCESS"
    made = {
        "/".join(event["assetKey"]["path"]): entry["boolValue"]
        for event in run["assetMaterializations"]
        for entry in event["metadataEntries"]
        if entry["label"] == "made_now"
    }
    assert made["moving_shapes/phase3"] is False, "what `foresight run` made is what the page finds"
    assert made["moving_shapes/latents"] is False
    assert made["real/evaluation"] is True


def _started(page: str, name: str) -> None:
    started = _ask(page, START, given={**CODE, "sensorName": name})
    assert started["sensorState"]["status"] == "RUNNING", started


def test_a_sensor_that_is_switched_on_decides_nothing_twice(pages, programme):
    before = json.loads(foresight(programme, "gate", "show", "1", "--json").stdout)["decision"]
    _started(pages[0], "moving_shapes__decide_phase1")

    def ticked():
        ticks = _ask(pages[0], TICKS, given={**CODE, "sensorName": "moving_shapes__decide_phase1"})
        reasons = [tick["skipReason"] or "" for tick in ticks["sensorState"]["ticks"]]
        return next((reason for reason in reasons if reason.startswith("decided")), None)

    assert before["verdict"] in _until(ticked, 180, "tick of the sensor")
    assert _ask(pages[0], RUNS, job="moving_shapes__decide_phase1_job")["results"] == []
    assert json.loads(foresight(programme, "gate", "show", "1", "--json").stdout)["decision"] == before


def test_people_are_told_of_every_gate_of_the_run_once(pages, programme):
    told = programme / "notices.jsonl"
    _started(pages[0], "tell_people")
    _until(lambda: told.is_file() and len(told.read_text().splitlines()) >= 3, 180, "notice of three gates")
    assert "Nothing to tell" in foresight(programme, "notify").stdout
    assert [json.loads(line)["phase"] for line in told.read_text().splitlines()] == [1, 2, 3]
