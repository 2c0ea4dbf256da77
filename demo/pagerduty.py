"""A stand-in for PagerDuty: takes events as the Events API v2 does, and keeps incidents as PagerDuty keeps them.

An event that PagerDuty would refuse is refused with 400. A trigger opens an incident, or joins the one that is open
under its dedup_key; a resolve closes that. What happens to the next requests can be told beforehand.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

MAX_EVENT_BYTES: Final = 512 * 1024
SEVERITIES: Final = ("critical", "error", "warning", "info")


@dataclass(frozen=True)
class Mood:
    """How one request is treated."""

    status: int | None = None  # answered with, and nothing else done; None: as PagerDuty does
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0  # before the answer
    is_cut: bool = False  # the event is taken, and the connection cut before the answer
    body: bytes | None = None


@dataclass
class Incident:
    """An incident: the events that went into it, and whether it is open."""

    key: str
    severity: str
    summary: str
    made_at: float
    is_open: bool = True
    triggers: int = 1


@dataclass(frozen=True)
class Request:
    """What was asked, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The body."""
        return json.loads(self.content)


class PagerDuty:
    """The server; a context manager, on a free port of this machine unless one is given."""

    def __init__(
        self, port: int = 0, certificate: str | None = None, on_event: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.requests: list[Request] = []
        self.incidents: list[Incident] = []
        self.changes: list[dict[str, Any]] = []
        self.moods: deque[Mood] = deque()  # of the next requests; then as PagerDuty does
        self.lock = Lock()
        self._on_event = on_event
        self._server = _Server(self, port)
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            scheme = "https"
        self.port: int = self._server.server_address[1]
        self.url = f"{scheme}://localhost:{self.port}" if certificate else f"http://127.0.0.1:{self.port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def events(self, action: str | None = None) -> list[dict[str, Any]]:
        """List the alert events that came, whatever was answered."""
        with self.lock:
            found = [each.json for each in self.requests if each.path == "/v2/enqueue"]
        return [each for each in found if action is None or each["event_action"] == action]

    def open_incidents(self) -> list[Incident]:
        """List the incidents that are open."""
        with self.lock:
            return [each for each in self.incidents if each.is_open]

    def take(self, path: str, event: dict[str, Any], size: int) -> tuple[int, dict[str, Any]]:
        """Do as PagerDuty does with an event."""
        if size > MAX_EVENT_BYTES:
            return 413, {"status": "invalid event", "message": "too large"}
        faults = _faults(path, event)
        if faults:
            return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": faults}
        if path == "/v2/change/enqueue":
            self.changes.append(event)
            return 202, {"status": "success", "message": "Change event processed"}
        key, payload = event["dedup_key"], event.get("payload", {})
        standing = next((each for each in self.incidents if each.key == key and each.is_open), None)
        if event["event_action"] == "resolve":
            if standing is not None:
                standing.is_open = False
        elif standing is not None:
            standing.triggers += 1
            standing.severity = payload["severity"]
        else:
            self.incidents.append(Incident(key, payload["severity"], payload["summary"], time.time()))
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}

    def heard(self, event: dict[str, Any]) -> None:
        """Tell whoever listens of an event that was taken."""
        if self._on_event is not None:
            self._on_event(event)


def _faults(path: str, event: dict[str, Any]) -> list[str]:
    payload = event.get("payload", {})
    rules = {
        "'routing_key' must be 32 characters": re.fullmatch("[0-9A-Za-z]{32}", str(event.get("routing_key"))),
        "'payload.summary' is too long": len(payload.get("summary", "")) <= 1024,
        "'payload.source' is missing": payload.get("source") or event.get("event_action") == "resolve",
    }
    if path == "/v2/enqueue":
        is_resolve = event.get("event_action") == "resolve"
        rules |= {
            "'event_action' is unknown": event.get("event_action") in ("trigger", "acknowledge", "resolve"),
            "'dedup_key' is too long or missing": 0 < len(event.get("dedup_key", "")) <= 255,
            "'payload.severity' is unknown": is_resolve or payload.get("severity") in SEVERITIES,
            "'payload.summary' is missing": is_resolve or payload.get("summary"),
        }
    return [rule for rule, is_kept in rules.items() if not is_kept]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: PagerDuty, port: int) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away, or that does not trust the certificate."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # answers go out at once
    timeout = 30
    server: _Server

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        owner, mood = self.server.owner, self._note("POST", content)
        status, answer = mood.status, {}
        if status is None:
            try:
                event = json.loads(content.decode("utf-8"))
            except ValueError:
                status, answer = 400, {"status": "invalid event", "message": "JSON is invalid"}
            else:
                with owner.lock:
                    status, answer = owner.take(self.path, event, len(content))
                if status == 202:
                    owner.heard(event)
        self._answer(status, answer, mood)

    def do_GET(self) -> None:
        owner, mood = self.server.owner, self._note("GET", b"")
        asked = parse_qs(urlsplit(self.path).query)
        with owner.lock:
            found = [{"incident_key": each.key} for each in owner.incidents if [each.key] == asked.get("incident_key")]
        self._answer(mood.status or 200, {"incidents": found}, mood)

    def _note(self, method: str, content: bytes) -> Mood:
        owner = self.server.owner
        with owner.lock:
            owner.requests.append(Request(method, self.path, dict(self.headers), content))
            return owner.moods.popleft() if owner.moods else Mood()

    def _answer(self, status: int, answer: dict[str, Any], mood: Mood) -> None:
        time.sleep(mood.delay_s)
        if mood.is_cut:
            self.close_connection = True
            return
        body = json.dumps(answer).encode() if mood.body is None else mood.body
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **mood.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing: what came is in `requests`."""
