"""Jobs of a cluster that is played: met by whoever asks for the same work, paid for once, never believed unheard."""

import logging
import time
from contextlib import contextmanager

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from orchestration.budget import spending
from orchestration.budget.allowance import StoppedAtReservation
from orchestration.budget.ledger import Ledger
from orchestration.dispatch import ray_jobs
from orchestration.dispatch.needs import Gpus, Needs
from orchestration.dispatch.task import Detached, DispatchError, Task, WorkerLost, WorkerRefused
from orchestration.dispatch.unpaid import Unpaid
from orchestration.home import Home
from orchestration.record import opened
from tests.orchestration.dispatch.fakes import Client, Job, Parcel, cluster_of
from tests.orchestration.test_worker import job as any_job

LOG = logging.getLogger("test")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(ray_jobs, "LOOK_S", 0.01)
    monkeypatch.setattr(ray_jobs, "PATIENCE_S", 0.3)


@pytest.fixture
def job(tmp_path):
    home = Home(tmp_path / "home")
    return any_job(tmp_path, home=home.root, out=home.run("moving_shapes", "phase1"))


@pytest.fixture
def ledger(job) -> Ledger:
    return opened.ledger(Home(job.home))


class Dispatching:
    """The same work, asked for as often as a test wants."""

    def __init__(self, job, client: Client) -> None:
        self.client, self.parcel, self.work = client, Parcel(), spending.account(job).work
        self.purse = spending.Paid(spending.account(job), LOG)
        self.needs = Needs(gpus=(Gpus(kind="A100-80GB"),), retries=0)

    def id(self, attempt: int) -> str:
        return cluster_of(self.client).id_of(self.work, attempt)

    def vanish(self) -> None:
        """From here on the cluster does not answer, until a test says that it does."""
        self.client.away = 10**9

    def go(self, **changes):
        needs = self.needs.model_copy(update=changes)
        task = Task(self.work, "phase1", needs, self.parcel, self.purse)
        caught = {}

        @dg.asset
        def thing(context: dg.AssetExecutionContext):
            try:
                caught["result"] = ray_jobs.run(context, task, cluster_of(self.client))
            except BaseException as error:
                caught["error"] = error
            return dg.MaterializeResult()

        assert dg.materialize([thing]).success
        if "error" in caught:
            raise caught["error"]
        return caught["result"]


@pytest.fixture
def dispatching(job):
    return Dispatching(job, Client())


def states(ledger: Ledger) -> list[tuple[str, str, str | None]]:
    return [(one.key.rpartition("/")[2], one.state, one.ended) for one in ledger.reservations()]


def succeeds(dispatching: Dispatching):
    """A job that runs, leaves its final message and exits 0."""

    def act(job: Job) -> None:
        if job.status == "PENDING":
            job.status = "RUNNING"
        elif job.status == "RUNNING":
            dispatching.parcel.finish(dispatching.work, clips=3)
            job.end("SUCCEEDED", 0)

    return act


def test_a_job_is_submitted_with_what_the_stage_needs_and_with_no_secret(dispatching, ledger, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    dispatching.client.acts = succeeds(dispatching)
    assert dispatching.go() == {"clips": 3, "worker_seconds": 7.0}
    [made] = dispatching.client.held.values()
    assert made.submission_id == dispatching.id(1)
    assert made.asked["entrypoint"] == "python -m orchestration.worker phase1 --bundle work/a1/bundle.json"
    assert made.asked["entrypoint_num_gpus"] == 1
    assert made.asked["entrypoint_resources"] == {"accelerator_type:A100-80GB": 0.001}
    assert made.asked["entrypoint_memory"] == 2 * 2**30
    given = made.asked["runtime_env"]["env_vars"]
    assert {name for name in given if not name.startswith("DAGSTER_PIPES")} == {
        "FORESIGHT_OBJECTS",
        "MLFLOW_TRACKING_URI",
        "PYTHONUNBUFFERED",
    }
    assert "planted" not in str(made)
    assert states(ledger) == [("a1", "settled", "done")]


def test_whoever_asks_again_meets_the_job_that_runs_and_its_hours(dispatching, ledger):
    """As after a kill between the submission and whatever would have stored the id."""
    dispatching.client.acts = lambda job: setattr(job, "status", "RUNNING") or dispatching.vanish()
    with pytest.raises(Detached):
        dispatching.go()
    dispatching.client.away = 0
    assert states(ledger) == [("a1", "reserved", None)], "nobody has settled it"
    dispatching.client.acts = succeeds(dispatching)
    assert dispatching.go()["clips"] == 3
    assert len(dispatching.client.held) == 1
    assert len(dispatching.parcel.sent) == 1
    assert states(ledger) == [("a1", "settled", "done")]
    assert ledger.reservations()[0].wall_hours == pytest.approx(7 / 3600), "the worker's own time: nobody saw it begin"


def test_a_job_that_ended_while_nobody_listened_is_not_run_again(dispatching, ledger):
    test_whoever_asks_again_meets_the_job_that_runs_and_its_hours(dispatching, ledger)
    assert dispatching.go()["clips"] == 3
    assert len(dispatching.client.held) == 1
    assert states(ledger) == [("a1", "settled", "done")], "what is done is not paid for again"


class Listening(Unpaid):
    """Remembers the progress that it is told of."""

    def __init__(self) -> None:
        super().__init__(None)
        self.seen: list[int] = []

    @contextmanager
    def hold(self, attempt, *, gpus=None, waits=False):
        with super().hold(attempt, gpus=gpus, waits=waits) as held:
            held.progress = lambda progress: self.seen.append(progress.done)
            yield held


def test_messages_are_heard_from_the_logs_start_and_each_once(dispatching):
    """Two listen in turn; each hears all of it, though a message begins behind a half-printed line."""
    progress = {"type": "progress", "stage": "phase1", "what": "phase1", "total": 9, "numbers": {}}
    first, second = Listening(), Listening()

    def begin(job: Job) -> None:
        if job.status == "PENDING":
            job.status = "RUNNING"
            for step in range(3):
                job.say(**progress, done=step)
            job.log += "half a bar 40%|####\n"
        elif len(first.seen) == 3:
            dispatching.vanish()

    def end(job: Job) -> None:
        if job.status == "RUNNING" and len(second.seen) == 3:
            job.say(**progress, done=3)
            succeeds(dispatching)(job)

    dispatching.purse, dispatching.client.acts = first, begin
    with pytest.raises(Detached):
        dispatching.go()
    dispatching.client.away = 0
    dispatching.purse, dispatching.client.acts = second, end
    dispatching.go()
    assert (first.seen, second.seen) == ([0, 1, 2], [0, 1, 2, 3])


def test_exit_0_without_the_final_message_is_a_failure(dispatching, ledger):
    dispatching.client.acts = lambda job: job.end("SUCCEEDED", 0)
    with pytest.raises(DispatchError, match="exited 0 without its final message"):
        dispatching.go(retries=3)
    assert len(dispatching.client.held) == 1
    assert states(ledger) == [("a1", "settled", "failed")]


def test_a_worker_that_is_lost_is_replaced_as_often_as_the_profile_says(dispatching, ledger):
    def lost(job: Job) -> None:
        job.status = "RUNNING" if job.status == "PENDING" else job.status
        job.end("FAILED", -9, message="the node has died")

    dispatching.client.acts = lost
    with pytest.raises(WorkerLost, match="the node has died"):
        dispatching.go(retries=2)
    assert list(dispatching.client.held) == [dispatching.id(attempt) for attempt in (1, 2, 3)]
    assert states(ledger) == [(f"a{attempt}", "settled", "failed") for attempt in (1, 2, 3)]
    dispatching.client.acts = succeeds(dispatching)
    assert dispatching.go()["clips"] == 3, "a person may ask again"
    assert dispatching.id(4) in dispatching.client.held


def test_a_worker_whose_node_took_its_log_along_is_replaced_too(dispatching, ledger):
    def lost(job: Job) -> None:
        job.log_is_lost, job.status = True, "RUNNING"
        job.end("FAILED", None, message="the node has died")
        dispatching.client.acts = succeeds(dispatching)

    dispatching.client.acts = lost
    assert dispatching.go(retries=1)["clips"] == 3
    assert list(dispatching.client.held) == [dispatching.id(1), dispatching.id(2)]


def test_who_cancels_before_the_job_is_submitted_has_nothing_to_stop_and_nothing_to_pay(dispatching, ledger):
    def send(attempt: str, allowed_s: float | None) -> str:
        raise DagsterExecutionInterruptedError

    dispatching.parcel.send = send
    with pytest.raises(DagsterExecutionInterruptedError):
        dispatching.go()
    assert dispatching.client.held == {}
    assert states(ledger) == [("a1", "released", None)]


@pytest.mark.parametrize(
    ("said", "exit_code", "kind"),
    [
        ({"error": "ask for more", "kind": "StoppedAtReservation"}, 3, StoppedAtReservation),
        ({"error": "no room", "kind": "StorageRefused"}, 3, WorkerRefused),
        ({"error": "weights differ", "kind": "BundleError"}, 2, DispatchError),
        ({"error": "S3 is away", "kind": "StoreAway"}, 1, WorkerLost),
    ],
)
def test_a_failure_comes_in_the_workers_words_and_as_what_it_is(dispatching, said, exit_code, kind):
    def act(job: Job) -> None:
        job.say(type="failed", **said)
        job.end("FAILED", exit_code)

    dispatching.client.acts = act
    with pytest.raises(kind, match=said["error"]) as caught:
        dispatching.go()
    assert type(caught.value) is kind


def test_what_a_worker_gives_as_its_reason_would_come_again_so_it_is_not_retried(dispatching):
    def act(job: Job) -> None:
        job.say(type="failed", error="weights differ", kind="BundleError")
        job.end("FAILED", 2)

    dispatching.client.acts = act
    with pytest.raises(DispatchError):
        dispatching.go(retries=3)
    assert len(dispatching.client.held) == 1


def test_a_job_that_hangs_is_ended_when_its_time_is_up_and_asks_for_hours(job, ledger):
    budget = job.profile.budget.model_copy(update={"max_hours": 1 / 3600})
    short = job.model_copy(update={"profile": job.profile.model_copy(update={"budget": budget})})
    dispatching = Dispatching(short, Client(lambda job: setattr(job, "status", "RUNNING")))
    began = time.monotonic()
    with pytest.raises(StoppedAtReservation, match="foresight budget approve"):
        dispatching.go()
    assert time.monotonic() - began < 10
    assert dispatching.client.stopped == [dispatching.id(1)]
    [one] = ledger.reservations()
    assert (one.state, one.ended) == ("settled", "stopped")
    assert one.wall_hours <= one.max_hours


def test_a_worker_that_the_kernel_ended_at_its_longest_runtime_stopped_at_its_reservation(dispatching):
    dispatching.client.acts = lambda job: job.end("FAILED", -14)
    with pytest.raises(StoppedAtReservation, match="its time is used up"):
        dispatching.go()


def test_who_cancels_stops_the_job_and_settles_what_it_used(dispatching, ledger):
    looks = []

    def act(job: Job) -> None:
        job.status = "RUNNING"
        looks.append(1)
        if len(looks) == 3:
            raise DagsterExecutionInterruptedError

    dispatching.client.acts = act
    with pytest.raises(DagsterExecutionInterruptedError):
        dispatching.go()
    assert dispatching.client.stopped == [dispatching.id(1)]
    assert states(ledger) == [("a1", "settled", "failed")]


def test_a_job_that_was_cancelled_while_it_waited_costs_nothing(dispatching, ledger):
    def act(job: Job) -> None:
        if job.status == "PENDING":
            raise DagsterExecutionInterruptedError

    dispatching.client.acts = act
    with pytest.raises(DagsterExecutionInterruptedError):
        dispatching.go()
    assert states(ledger) == [("a1", "released", None)]


def test_a_cluster_that_is_away_for_a_while_costs_nothing_and_for_good_leaves_the_hours_held(dispatching, ledger):
    def falter(job: Job) -> None:
        if job.status == "PENDING":
            dispatching.client.away = 3
        succeeds(dispatching)(job)

    dispatching.client.acts = falter
    assert dispatching.go()["clips"] == 3
    dispatching.parcel.done = None
    dispatching.client.acts = lambda job: dispatching.vanish()
    with pytest.raises(Detached, match="run again to meet it"):
        dispatching.go()
    assert states(ledger)[-1][:2] == ("a2", "reserved")


def test_a_cluster_that_was_started_anew_has_lost_the_job_and_it_is_replaced(dispatching, ledger):
    def forget(job: Job) -> None:
        job.status = "RUNNING"
        if len(dispatching.client.held) == 1 and dispatching.id(1) in dispatching.client.held:
            dispatching.client.held.clear()
            dispatching.client.acts = succeeds(dispatching)

    dispatching.client.acts = forget
    assert dispatching.go(retries=1)["clips"] == 3
    assert [state[0] for state in states(ledger)] == ["a1", "a2"]


def test_work_that_two_ask_for_at_once_is_one_job_and_one_payment(dispatching, ledger):
    """The other one submits in the moment between this one's look and its submission."""
    real = dispatching.parcel.send

    def send(attempt: str, allowed_s: float | None) -> str:
        key = real(attempt, allowed_s)
        other = cluster_of(dispatching.client)
        needs = dispatching.needs.resources(None)
        metadata = {"foresight.work": dispatching.work, "foresight.attempt": "1", "foresight.key": "k"}
        other.submit(dispatching.id(1), "python", env={}, metadata=metadata, needs=needs)
        return key

    dispatching.parcel.send = send
    dispatching.client.acts = succeeds(dispatching)
    assert dispatching.go()["clips"] == 3
    assert len(dispatching.client.held) == 1
    assert states(ledger) == [("a1", "settled", "done")]


def test_a_job_that_goes_on_though_its_hours_are_settled_is_ended_before_the_next(dispatching, ledger):
    dispatching.client.acts = lambda job: job.end("FAILED", 1)
    with pytest.raises(WorkerLost):
        dispatching.go()
    dispatching.client.held[dispatching.id(1)].status = "RUNNING"
    dispatching.client.acts = succeeds(dispatching)
    dispatching.go()
    assert dispatching.client.stopped == [dispatching.id(1)]
    assert [state[0] for state in states(ledger)] == ["a1", "a2"]
