"""People are told of what waits for them: once, through real servers, and never in the way of a decision."""

import datetime as dt
import json
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from orchestration.home import REPOSITORY, Home
from orchestration.people.channels import sender
from orchestration.people.notices import FAILED, SENT, due, tell
from orchestration.people.notify_config import NotifyError, load
from orchestration.plan.programme import load as programme
from orchestration.plan.programme_file import ProgrammeError
from orchestration.record.decisions import DecisionLog
from orchestration.record.store import Store
from tests.orchestration.evaluations import evaluation, metric
from tests.orchestration.receivers import MailServer, Webhook, certificate, serving

DATA = {"dataset": "moving_shapes"}
HOOK = {"name": "chat", "kind": "webhook", "url_env": "HOOK"}
FILE = {"name": "file", "kind": "file", "path": "notices.jsonl"}
DAY = dt.datetime(2030, 1, 10, 12, tzinfo=dt.UTC)


class Desk:
    """A home with channels, and the ways to decide in it and to tell of it."""

    def __init__(self, root: Path) -> None:
        self.home, self.now = Home(root), DAY
        self.log = DecisionLog(Store(self.home.database), lambda: self.now)

    def channels(self, *channels: dict, **changes) -> None:
        said = {"schema": "foresight.notify/1", "tell_of": ["NO_GO", "MARGINAL", "INCONCLUSIVE"], "attempts": 3}
        self.home.notify.write_text(yaml.safe_dump({**said, "channels": list(channels), **changes}))

    def decide(self, lpips: float, phase: int = 1):
        return self.log.decide(programme(), evaluation(phase, lpips=metric(lpips)), pins=DATA)

    def tell(self, *, at_once: bool = False) -> list[str | None]:
        send, config = sender(self.home), load(self.home)
        return [tell(self.log, one, send) for one in list(due(self.log, config, self.now, at_once=at_once))]

    def events(self, kind: str) -> list[dict]:
        return [event for event in self.log.events() if event["kind"] == kind]


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path / "home")


def test_a_webhook_gets_the_verdict_its_reasons_and_what_to_do_once(desk, monkeypatch):
    desk.channels(HOOK)
    decision = desk.decide(0.6)
    with serving(Webhook()) as hook:
        monkeypatch.setenv("HOOK", hook.url)
        assert [desk.tell(), desk.tell()] == [[None], []]
    headers, body = hook.taken[0]
    said = json.loads(body)
    assert headers["Idempotency-Key"] == said["key"] == f"decision-{decision.sha256}"
    assert (said["verdict"], said["phase"], said["data"]) == ("NO_GO", 1, "moving_shapes")
    assert "LPIPS: whole interval > failure threshold 0.35" in said["text"]
    assert "foresight gate approve 1" in said["text"]
    assert "stand-ins" in said["subject"]


def test_a_go_needs_nobody(desk):
    desk.channels(FILE)
    desk.decide(0.2)
    assert desk.tell() == []


@pytest.mark.parametrize("lpips", [0.6, 0.3, None])
def test_no_go_marginal_and_inconclusive_wait_for_a_person_and_are_told(desk, lpips):
    desk.channels(FILE)
    spoilt = evaluation(1, lpips=metric(lpips))
    verdict = desk.log.decide(programme(), spoilt, pins=DATA).verdict
    assert desk.tell() == [None]
    assert json.loads((desk.home.root / "notices.jsonl").read_text())["verdict"] == verdict != "GO"


def test_a_failed_notice_is_an_event_and_is_tried_again_later_each_time(desk, monkeypatch):
    desk.channels(HOOK)
    desk.decide(0.6)
    with serving(Webhook(500, 503)) as hook:
        monkeypatch.setenv("HOOK", hook.url)
        (why,) = desk.tell()
        assert why is not None
        assert "500" in why
        assert "secret-token" not in why
        assert desk.tell() == [], "not before its time"
        desk.now += dt.timedelta(seconds=31)
        assert len(desk.tell()) == 1
        desk.now += dt.timedelta(seconds=31)
        assert desk.tell() == [], "the second wait is longer than the first"
        desk.now += dt.timedelta(seconds=31)
        assert desk.tell() == [None]
    assert [event["attempt"] for event in desk.events(FAILED)] == [1, 2]
    assert [event["attempt"] for event in desk.events(SENT)] == [3]
    assert desk.log.verify() is None


def test_a_channel_is_given_up_after_its_attempts_and_a_person_can_try_it_again(desk, monkeypatch):
    desk.channels(HOOK, attempts=2)
    desk.decide(0.6)
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/")  # the discard port: nobody listens
    for _ in range(5):
        desk.tell()
        desk.now += dt.timedelta(hours=2)
    assert len(desk.events(FAILED)) == 2
    with serving(Webhook()) as hook:
        monkeypatch.setenv("HOOK", hook.url)
        assert desk.tell(at_once=True) == [None]


def test_one_channel_that_is_down_keeps_no_other_from_telling(desk, monkeypatch):
    desk.channels(HOOK, FILE)
    desk.decide(0.6)
    monkeypatch.delenv("HOOK", raising=False)
    why, filed = desk.tell()
    assert why == "ChannelError: $HOOK is not set; the channel needs it"
    assert filed is None


def test_a_clock_that_was_set_back_delays_no_notice(desk, monkeypatch):
    desk.channels(HOOK)
    desk.decide(0.6)
    monkeypatch.delenv("HOOK", raising=False)
    desk.tell()
    desk.now -= dt.timedelta(days=30)
    assert len(desk.tell()) == 1


def test_a_decision_that_a_later_one_replaced_is_no_longer_told_of(desk):
    desk.channels(FILE)
    desk.decide(0.6)
    desk.decide(0.2)
    assert desk.tell() == []


def test_a_mail_is_signed_in_encrypted_and_carries_its_key(desk, tmp_path, monkeypatch):
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setenv("MAIL_USER", "foresight")
    monkeypatch.setenv("MAIL_PASSWORD", "not-in-a-file")
    decision = desk.decide(0.6)
    with serving(MailServer(context)) as server:
        mail = {"name": "mail", "kind": "email", "host": "127.0.0.1", "port": server.port, "security": "starttls"}
        people = {"sender": "foresight@lab.example", "recipients": ["chair@lab.example", "pi@lab.example"]}
        desk.channels({**mail, **people, "user_env": "MAIL_USER", "password_env": "MAIL_PASSWORD"})
        assert desk.tell() == [None]
    (message,) = server.messages
    assert server.logins == [["foresight", "not-in-a-file"]]
    assert message["Message-ID"] == f"<decision-{decision.sha256}@lab.example>"
    assert message["To"] == "chair@lab.example, pi@lab.example"
    assert "NO-GO" in message["Subject"]
    assert "foresight gate show 1" in message.get_payload()


def test_a_mail_server_without_encryption_is_not_given_a_notice_over_starttls(desk):
    desk.decide(0.6)
    with serving(MailServer()) as server:
        mail = {"name": "mail", "kind": "email", "host": "127.0.0.1", "port": server.port, "security": "starttls"}
        desk.channels({**mail, "sender": "a@b.example", "recipients": ["c@d.example"]})
        (why,) = desk.tell()
    assert why is not None
    assert "STARTTLS" in why
    assert server.messages == []


KILLED = """
import os, signal, sys
from orchestration.people import notices
from orchestration.home import Home
from tests.orchestration.people.test_notices import Desk
desk = Desk(Home.find().root)
desk.log.note = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
desk.tell()
"""


def test_killed_between_sending_and_noting_it_is_sent_again_under_the_same_key(desk):
    desk.channels(FILE)
    decision = desk.decide(0.6)
    killed = subprocess.run([sys.executable, "-c", KILLED], cwd=REPOSITORY, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert desk.tell() == [None]
    assert desk.tell() == []
    keys = [json.loads(line)["key"] for line in (desk.home.root / "notices.jsonl").read_text().splitlines()]
    assert keys == [f"decision-{decision.sha256}"] * 2


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({**HOOK, "url": "https://example.org"}, "unknown key"),
        ({**HOOK, "url_env": "https://example.org"}, "should match pattern"),
        ({**HOOK, "kind": "pigeon"}, "does not match any of the expected tags"),
        (
            {"name": "m", "kind": "email", "host": "h", "port": 25, "security": "none", "sender": "a@b.example",
             "recipients": ["c@d.example"], "user_env": "A", "password_env": "B"},
            "never sent without starttls or tls",
        ),
    ],
)  # fmt: skip
def test_a_wrong_channel_is_refused_in_one_line(desk, channel, said):
    desk.channels(channel)
    with pytest.raises(ProgrammeError, match=said) as refused:
        load(desk.home)
    assert "\n" not in str(refused.value)


def test_a_file_of_channels_that_is_not_there_is_named(desk, monkeypatch):
    monkeypatch.setenv("FORESIGHT_NOTIFY", "/nowhere/notify.yaml")
    with pytest.raises(NotifyError, match="no such file"):
        load(desk.home)


def test_the_shipped_channels_write_to_a_file_of_the_home(desk):
    desk.decide(0.6)
    assert desk.tell() == [None]
    assert (desk.home.root / "notices.jsonl").is_file()


def test_the_sensor_tells_and_says_so(desk):
    import dagster as dg

    from orchestration.people.telling import teller
    from orchestration.resources import Foresight

    desk.channels(FILE)
    desk.decide(0.6)
    resources = {"foresight": Foresight(home_folder=str(desk.home.root), profile_name="laptop")}
    said = []
    for _ in range(2):
        with dg.build_sensor_context(resources=resources) as context:
            said.append(teller()(context))
    assert "file: Foresight: phase 1 is NO-GO" in said[0].skip_message
    assert said[1].skip_message == "nothing to tell"
