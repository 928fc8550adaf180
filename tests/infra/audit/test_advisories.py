"""Advisories by the real pip-audit, asked of a server on loopback that answers as OSV does."""

import json
import socket
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.audit.advisories import KNOWN, NOT_ASKED, Finding, audit, judge
from infra.audit.allowed import Advisory, Allowed

TODAY = date(2026, 11, 26)
LEAKY = Finding("leaky", "1.0", frozenset({"PYSEC-2026-1", "CVE-2026-1"}), ("1.1",))


def let_pass(until: date, id: str = "CVE-2026-1") -> Allowed:
    return Allowed(advisories=(Advisory(id=id, package="leaky", until=until, reason="the part is not used here"),))


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "requirements.lock"
    path.write_text("".join(f"{name}==1.0 \\\n    --hash=sha256:{'0' * 64}\n" for name in ("leaky", "sound")))
    return path


@pytest.fixture
def service(request):
    """The options of a service that knows of these releases' weaknesses."""
    known = request.param

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = asked["package"]["name"], asked["version"]
            body = json.dumps({"vulns": [advisory(name)]} if f"{name}=={version}" in known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said):
            """Nothing on stderr."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield ("--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/query")
    server.shutdown()
    thread.join()
    server.server_close()


def away() -> tuple[str, ...]:
    """The options of a service that is not there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return ("--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{free.getsockname()[1]}/query")


def advisory(name: str) -> dict:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}]
    return {
        "schema_version": "1.6.0",
        "id": "PYSEC-2026-1",
        "aliases": ["CVE-2026-1"],
        "summary": "weak",
        "published": "2026-01-01T00:00:00Z",
        "modified": "2026-01-01T00:00:00Z",
        "affected": [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}],
    }


@pytest.mark.parametrize("service", [{KNOWN, "leaky==1.0"}], indirect=True)
def test_a_weakness_is_found_by_the_first_service_that_answers(lock, service, capsys):
    assert audit(lock, Allowed(), TODAY, [away(), service]) == 1
    assert "leaky 1.0: CVE-2026-1, PYSEC-2026-1; fixed in 1.1" in capsys.readouterr().err


@pytest.mark.parametrize("service", [{KNOWN}], indirect=True)
def test_a_sound_lock_passes_and_one_that_cannot_be_read_does_not(lock, service, capsys):
    assert audit(lock, Allowed(), TODAY, [service]) == 0
    lock.write_text("not a == lock\n")
    assert audit(lock, Allowed(), TODAY, [service]) == 1
    assert "could not look it up" in capsys.readouterr().err


@pytest.mark.parametrize("service", [set()], indirect=True)
def test_where_none_answers_or_none_has_advisories_nothing_passes_in_silence(lock, service, capsys):
    assert audit(lock, Allowed(), TODAY, [away(), service]) == NOT_ASKED
    assert "advisories: NOT LOOKED UP" in capsys.readouterr().err


def test_what_is_let_pass_has_an_end_and_must_be_needed():
    assert list(judge([LEAKY], let_pass(TODAY, "PYSEC-2026-1"), TODAY)) == []
    [over] = judge([LEAKY], let_pass(date(2026, 11, 25)), TODAY)
    assert over.endswith("let pass until 2026-11-25, which is over")
    [stale] = judge([], let_pass(TODAY), TODAY)
    assert "is not found any more" in stale
    other, stale = judge([LEAKY], let_pass(TODAY, "CVE-2026-2"), TODAY)
    assert other.startswith("leaky 1.0")


def test_a_package_that_could_not_be_looked_up_is_a_complaint():
    [said] = judge([Finding("private", "", frozenset(), unknown="not found on PyPI")], Allowed(), TODAY)
    assert said == "private: could not be looked up (not found on PyPI)"
