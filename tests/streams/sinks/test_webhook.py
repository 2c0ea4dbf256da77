"""The webhook: what its receiver gets, and how it knows who sent it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest

from demo.pagerduty import Mood, PagerDuty, Request
from models.settings import parse_settings
from streams.alert import Courier, Desk
from streams.ledger import Ledger
from streams.secret import SecretError
from streams.sinks import make_sinks
from tests.findings import NOW, finding

SECRET = "correct horse battery staple"
DOCS = Path(__file__).parents[3] / "docs/alerting.md"


def settings(place: str) -> str:
    """Write settings by which a webhook is told of everything; ``place`` says where it is."""
    return f'[[routes]]\nsink = "hook"\n[sinks.hook]\ntype = "webhook"\n{place}\nsecret_env = "HOOK_SECRET"'


def is_ours(request: Request, now: int, seen: set[str]) -> bool:
    """Check a request as docs/alerting.md tells a receiver to: by the very code that stands there."""
    (code,) = re.findall(r"```python\n(def is_from_rolehawk.*?)```", DOCS.read_text(), re.DOTALL)
    space = {"hmac": hmac, "hashlib": hashlib, "json": json}
    exec(code, space)  # noqa: S102 - the project's own page
    check = space["is_from_rolehawk"]
    return bool(check(SECRET.encode(), request.headers, request.content, now, seen))  # type: ignore[operator]


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the secret where the settings say it is."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def test_a_receiver_can_check_who_sent_it_and_when() -> None:
    """The check of the docs takes what is ours, once, within five minutes, and nothing that was changed."""
    with PagerDuty() as server:
        given = parse_settings(settings(f'url = "{server.url}/hooks/t0ken"'))
        (sink,) = make_sinks(given).values()
        ledger = Ledger(None)
        courier = Courier("hook", sink, ledger, 0, lambda *_: None, lambda _: None)
        server.moods += [Mood(200), Mood(503), Mood(200)]
        for change, at in ((finding(), NOW), (finding(revision=2, close_reason="resolved"), NOW + 10)):
            Desk(given, ledger, lambda *_: None, lambda at=at: at).take([change])  # type: ignore[misc]
            courier.step(at)
        courier.step(NOW + 20)
        ledger.close()
        courier.close()
    opened, lost, again = server.requests
    assert [each.json["action"] for each in server.requests] == ["trigger", "resolve", "resolve"]
    assert opened.path == "/hooks/t0ken"
    assert opened.json["finding"]["finding_id"] == finding().finding_id
    assert opened.json["delivery_id"] == opened.headers["Rolehawk-Delivery"]
    assert lost.json["delivery_id"] == again.json["delivery_id"] != opened.json["delivery_id"]

    seen: set[str] = set()
    assert is_ours(opened, NOW + 5, seen)
    assert not is_ours(opened, NOW + 5, seen), "replayed"
    renamed = {**opened.headers, "Rolehawk-Delivery": "another"}
    assert not is_ours(Request("POST", "", renamed, opened.content), NOW + 5, seen), "replayed under another name"
    assert not is_ours(opened, NOW + 301, set()), "too old"
    assert not is_ours(opened, NOW - 301, set()), "too new"
    assert not is_ours(Request("POST", "", opened.headers, opened.content + b" "), NOW, set())
    moved = {**opened.headers, "Rolehawk-Timestamp": str(NOW + 1)}
    assert not is_ours(Request("POST", "", moved, opened.content), NOW, set())
    assert not is_ours(Request("POST", "", {}, opened.content), NOW, set())
    assert is_ours(again, NOW + 25, seen)


def test_the_address_may_be_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address from the environment is neither shown in a complaint nor taken if it is not safe."""
    with PagerDuty() as server:
        monkeypatch.setenv("HOOK_URL", f"{server.url}/hooks/t0ken")
        given = parse_settings(settings('url_env = "HOOK_URL"'))
        (sink,) = make_sinks(given).values()
        ledger = Ledger(None)
        said: list[str] = []
        courier = Courier("hook", sink, ledger, 0, lambda *_: None, said.append)
        Desk(given, ledger, lambda *_: None, lambda: NOW).take([finding()])
        server.moods.append(Mood(404, body=f"no {server.url}/hooks/t0ken, no {SECRET}".encode()))
        courier.step(NOW)
        ledger.close()
        courier.close()
    assert said == ["hook: 127.0.0.1: 404 Not Found: no ***, no ***; it is tried again until it succeeds"]
    monkeypatch.setenv("HOOK_URL", "http://hooks.example.com/t0ken")
    with pytest.raises(SecretError, match=r"sinks.hook.url: must be https") as error:
        make_sinks(given)
    assert "t0ken" not in str(error.value)
    with pytest.raises(SecretError, match=r"sinks.hook.url_env or sinks.hook.url_file is needed"):
        make_sinks(parse_settings(settings("")))
