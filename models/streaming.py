"""What the settings say of Kafka and of the stream: where the brokers are, how to log in, topics, shards.

A secret is never in the settings: they name the environment variable or the file that it is in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

MAX_SHARDS: Final = 1_024
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # Kafka's own rule
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:]+\]|[^\s:/,\[\]]+):[0-9]{1,5}")


class Sasl(Struct, frozen=True):
    """How to log in with name and password."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    username: str
    password_env: str | None = None
    password_file: str | None = None


class Tls(Struct, frozen=True):
    """How the connection is encrypted; with certificate and key of our own, who we are as well."""

    ca_file: str | None = None  # PEM; the system's authorities if left out
    certificate_file: str | None = None  # PEM
    key_file: str | None = None  # PEM
    key_password_env: str | None = None
    key_password_file: str | None = None


class Kafka(Struct, frozen=True):
    """Where the brokers are (host:port), and how to log in."""

    bootstrap: tuple[str, ...] = ()
    sasl: Sasl | None = None
    tls: Tls | None = None


class Topics(Struct, frozen=True):
    """What the topics are called."""

    cloudtrail: str = "cloudtrail"
    filed: str = "rolehawk-filed"
    drafts: str = "rolehawk-drafts"
    findings: str = "rolehawk-findings"
    rejected: str = "rolehawk-rejected"


class Stream(Struct, frozen=True):
    """The topics, over how many shards state is spread, and for how long late events are waited for."""

    group: str = "rolehawk"  # consumer group of the workers, and what the topics of their state begin with
    topics: Topics = Topics()
    shards: Annotated[int, Meta(ge=1, le=MAX_SHARDS)] = 8
    allowance_minutes: Annotated[int, Meta(ge=1, le=1_440)] = 15


def complaints(kafka: Kafka, stream: Stream) -> Iterator[str]:
    """Say what does not go together, each with the key at fault."""
    yield from _kafka_complaints(kafka)
    yield from _stream_complaints(stream)


def _kafka_complaints(kafka: Kafka) -> Iterator[str]:
    for address in kafka.bootstrap:
        if not _ADDRESS.fullmatch(address):
            yield f"kafka.bootstrap: {address!r} is no host:port"
    if (sasl := kafka.sasl) is not None:
        if (sasl.password_env is None) == (sasl.password_file is None):
            yield "kafka.sasl: give either password_env or password_file"
        if sasl.mechanism == "PLAIN" and kafka.tls is None:
            yield "kafka.sasl.mechanism: PLAIN sends the password as it is; it needs [kafka.tls]"
    if (tls := kafka.tls) is not None:
        if (tls.certificate_file is None) != (tls.key_file is None):
            yield "kafka.tls: certificate_file and key_file go together"
        if tls.key_password_env is not None and tls.key_password_file is not None:
            yield "kafka.tls: give either key_password_env or key_password_file"


def _stream_complaints(stream: Stream) -> Iterator[str]:
    if not _TOPIC.fullmatch(stream.group):
        yield f"stream.group: {stream.group!r} is no name: 1 to 249 letters, digits, dots, dashes and underscores"
    names = msgspec.structs.astuple(stream.topics)
    for name in names:
        if not _TOPIC.fullmatch(name) or name in (".", ".."):
            yield f"stream.topics: {name!r} is no topic's name: 1 to 249 letters, digits, dots, dashes and underscores"
    if len(set(names)) < len(names):
        yield "stream.topics: two topics have the same name"
