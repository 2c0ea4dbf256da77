"""HTTP as the sinks speak it, with a real server: what an answer means, and what is refused to do."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from threading import Thread
from time import sleep, time

import pytest

from demo.pagerduty import Mood, PagerDuty
from streams.sinks.http import MAX_ANSWER_BYTES, Answer, Client
from tests.certificates import self_signed

PATH = "/v2/change/enqueue"
BODY = b'{"routing_key": "0123456789abcdef0123456789abcdef", "payload": {"summary": "s", "source": "t"}}'


def post(url: str, ca_file: Path | None = None, proxy: str | None = None, timeout_s: float = 2) -> Answer:
    """Send one body, over a connection of its own."""
    client = Client(url, ca_file=None if ca_file is None else str(ca_file), proxy=proxy, timeout_s=timeout_s)
    try:
        return client.post(PATH, BODY, {})
    finally:
        client.close()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "taken"), (202, "taken"), (301, "failed"), (307, "failed"), (400, "refused"), (401, "failed"),
        (403, "failed"), (404, "failed"), (408, "failed"), (413, "refused"), (422, "refused"), (429, "failed"),
        (500, "doubtful"), (502, "doubtful"), (503, "doubtful"), (599, "doubtful"),
    ],
)  # fmt: skip
def test_what_a_status_means(status: int, outcome: str) -> None:
    """Taken, refused for good, failed for now, or nobody knows: by the status."""
    with PagerDuty() as server:
        server.moods.append(Mood(status, body=b"why it is\n so\x1b[2J"))
        answer = post(server.url)
    assert answer.outcome == outcome
    if outcome != "taken":
        assert answer.reason.startswith(f"127.0.0.1: {status} ")
        assert answer.reason.endswith("why it is so\\x1b[2J")


def test_redirects_are_not_followed() -> None:
    """What a server redirects to is never asked, be it on the same machine."""
    with PagerDuty() as other, PagerDuty() as server:
        server.moods.append(Mood(307, {"Location": other.url + PATH}))
        assert post(server.url).outcome == "failed"
    assert other.requests == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("value", "least_s", "most_s"),
    [
        ("7", 7, 7), ("0", 0, 0), ("999999999999", 3600, 3600), ("-5", 0, 0), ("soon", 0, 0), ("²", 0, 0),
        (formatdate(0, usegmt=True), 0, 0),
        ("Mon, 99 Foo 2024 00:00:00 GMT", 0, 0),
    ],
)  # fmt: skip
def test_patience_is_bounded(value: str, least_s: float, most_s: float) -> None:
    """Retry-After is read as seconds or as a date; nonsense says nothing, and nobody can ask for more than an hour."""
    with PagerDuty() as server:
        server.moods.append(Mood(429, {"Retry-After": value}))
        assert least_s <= post(server.url).retry_after_s <= most_s


def test_patience_may_be_asked_for_by_date() -> None:
    """Retry-After as an instant is so many seconds from now."""
    with PagerDuty() as server:
        server.moods.append(Mood(429, {"Retry-After": formatdate(time() + 1_200, usegmt=True)}))
        assert 600 <= post(server.url).retry_after_s <= 1_200


def test_a_slow_answer_is_doubtful() -> None:
    """Where no answer comes in time the receiver may have taken it all the same."""
    with PagerDuty() as server:
        server.moods.append(Mood(delay_s=1.5))
        answer = post(server.url, timeout_s=0.3)
        assert (answer.outcome, answer.reason) == ("doubtful", "127.0.0.1: no answer in time")
        assert len(server.changes) == 1


def test_a_cut_connection_is_doubtful() -> None:
    """Where the connection breaks before the answer the receiver may have taken it all the same."""
    with PagerDuty() as server:
        server.moods.append(Mood(is_cut=True))
        answer = post(server.url)
        assert (answer.outcome, answer.reason) == ("doubtful", "127.0.0.1: the connection broke")
        assert len(server.changes) == 1


def test_nobody_there_is_a_sure_failure() -> None:
    """Where nobody listens, and where a name leads nowhere, nothing was taken."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert post(f"http://127.0.0.1:{nobody.getsockname()[1]}").outcome == "failed"
    assert post("https://nowhere.invalid").outcome == "failed"


def test_what_is_no_http_is_doubtful() -> None:
    """A server that speaks something else is no success."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = Thread(target=babble)
        thread.start()
        answer = post(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert answer.outcome == "doubtful"


@pytest.mark.parametrize("is_secure", [False, True])
@pytest.mark.parametrize(
    ("start", "outcome"), [(b"HTTP/1.1 ", "doubtful"), (b"HTTP/1.1 202 OK\r\nContent-Length: 999\r\n\r\n", "taken")]
)
def test_an_answer_without_end_is_cut_off(tmp_path: Path, start: bytes, outcome: str, is_secure: bool) -> None:
    """A receiver that sends a byte now and then for ever keeps nobody; where it has given the status, that counts."""
    ours = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ours)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            accepted, _ = server.accept()
            with context.wrap_socket(accepted, server_side=True) if is_secure else accepted as connection:
                connection.recv(65_536)
                with suppress(OSError):  # as it ends
                    connection.sendall(start)
                    while True:
                        connection.sendall(b"a")
                        sleep(0.05)

        thread = Thread(target=drip)
        thread.start()
        url = f"{'https' if is_secure else 'http'}://127.0.0.1:{server.getsockname()[1]}"
        answer = post(url, ours if is_secure else None, timeout_s=0.5)
        thread.join()
    assert answer.outcome == outcome


def test_a_long_answer_is_not_read_to_its_end() -> None:
    """Of an answer only so much is kept, and the next request is not disturbed by the rest."""
    with PagerDuty() as server:
        client = Client(server.url)
        server.moods += [Mood(200, body=b"x" * 5_000_000), Mood(404, body=b"y" * 5_000_000)]
        assert len(client.post(PATH, BODY, {}).body) == MAX_ANSWER_BYTES
        assert len(client.post(PATH, BODY, {}).reason) < 400
        assert client.post(PATH, BODY, {}).outcome == "taken"
        client.close()


def test_a_certificate_is_checked(tmp_path: Path) -> None:
    """A certificate that nobody vouches for is refused; with its authority given it is accepted, but for its name alone."""
    ours, other = self_signed(tmp_path), self_signed(tmp_path, "elsewhere.example")
    with PagerDuty(certificate=str(ours)) as server:
        refused = post(server.url)
        assert refused.outcome == "failed"
        assert "TLS: " in refused.reason
        assert "self-signed" in refused.reason
        assert post(server.url, other).outcome == "failed"
        assert server.requests == []
        assert post(server.url, ours).outcome == "taken"
    with PagerDuty(certificate=str(other)) as server:
        misnamed = post(server.url, other)
        assert misnamed.outcome == "failed"
        assert "match" in misnamed.reason.lower()


def test_a_proxy_comes_from_the_settings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxies are nobody's business; the one of the settings gets every request."""
    with PagerDuty() as proxy, PagerDuty() as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert post(server.url).outcome == "taken"
        assert proxy.requests == []
        proxy.moods.append(Mood(202))
        assert post("http://127.0.0.1:9", proxy=proxy.url).outcome == "taken"
        assert proxy.requests[0].path == f"http://127.0.0.1:9{PATH}"
    assert len(server.requests) == 1
