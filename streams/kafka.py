"""Kafka as the settings have it: the address, the credentials, and the clients that are made with them.

One place for all that reach a broker. Secrets are read from the environment or a file when a client is made; nothing
that is written or shown has them.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from models.settings import Settings
from models.streaming import Tls
from streams.secret import Secret, SecretError, find_secret

if TYPE_CHECKING:
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.admin import KafkaAdminClient

_Client = TypeVar("_Client")

BOOTSTRAP_VARIABLE: Final = "KAFKA_BOOTSTRAP_SERVERS"
MAX_MESSAGE_BYTES: Final = 1_000_000  # of one message's value: a broker takes 1 MiB, key and framing among it
CONNECT_TIMEOUT_MS: Final = 10_000  # in which a broker must answer when a client is made
RECONNECT_MS: Final = 2_000  # at most between two tries to reach a broker that is down
_NO_EXTRA: Final = "needs the extra `stream`: pip install 'rolehawk[stream]'"

# The client says on its logger what it goes on to try again; what it gives up on is raised.
logging.getLogger("kafka").setLevel(logging.CRITICAL)


class KafkaUnusableError(RuntimeError):
    """Kafka cannot be reached as the settings have it: says why, and never with a secret."""


@dataclass(frozen=True)
class Credentials:
    """How a connection is made, in the words that every client library understands."""

    security_protocol: str  # PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
    mechanism: str | None = None
    username: str | None = None
    password: Secret | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Cluster:
    """Which brokers, and how to log in."""

    bootstrap: tuple[str, ...]
    credentials: Credentials

    @classmethod
    def of(cls, settings: Settings, bootstrap: str | None = None) -> Self:
        """Take the address given, else the environment's, else that of the settings; raises KafkaUnusableError."""
        given = bootstrap or os.environ.get(BOOTSTRAP_VARIABLE) or ""
        addresses = tuple(each.strip() for each in given.split(",") if each.strip()) or settings.kafka.bootstrap
        if not addresses:
            raise KafkaUnusableError(
                f"no Kafka is named: give [kafka] bootstrap in the settings, {BOOTSTRAP_VARIABLE} or --kafka HOST:PORT "
                "(`rolehawk broker` runs one)"
            )
        return cls(addresses, _credentials(settings))

    def producer(self, **more: Any) -> KafkaProducer:  # noqa: ANN401 - the client's own settings
        """Make a producer: idempotent, each message acknowledged by all replicas in sync."""
        try:
            from kafka import KafkaProducer  # noqa: PLC0415 - an extra
        except ImportError:
            raise KafkaUnusableError(_NO_EXTRA) from None
        return self._made(KafkaProducer, acks="all", enable_idempotence=True, **more)

    def consumer(self, *topics: str, **more: Any) -> KafkaConsumer:  # noqa: ANN401
        """Make a consumer."""
        try:
            from kafka import KafkaConsumer  # noqa: PLC0415 - an extra
        except ImportError:
            raise KafkaUnusableError(_NO_EXTRA) from None
        return self._made(KafkaConsumer, *topics, **more)

    def admin(self) -> KafkaAdminClient:
        """Make a client that makes and describes topics."""
        try:
            from kafka.admin import KafkaAdminClient  # noqa: PLC0415 - an extra
        except ImportError:
            raise KafkaUnusableError(_NO_EXTRA) from None
        return self._made(KafkaAdminClient)

    def make_topics(self, partitions: dict[str, int], configs: dict[str, dict[str, str]] | None = None) -> None:
        """Make the topics that are not there yet, with so many partitions and the cluster's replication.

        Raises KafkaUnusableError.
        """
        from kafka.admin import NewTopic  # noqa: PLC0415 - an extra, which `admin` asks for
        from kafka.errors import KafkaError, TopicAlreadyExistsError  # noqa: PLC0415

        admin = self.admin()
        try:
            there = set(admin.list_topics())
            for name in sorted(partitions.keys() - there):
                topic = NewTopic(name, partitions[name], -1, topic_configs=(configs or {}).get(name))
                try:
                    admin.create_topics([topic])
                except TopicAlreadyExistsError:  # made by another meanwhile
                    continue
        except KafkaError as error:
            raise KafkaUnusableError(f"topics could not be made: {error}") from None
        finally:
            admin.close()

    def partitions(self) -> dict[str, int]:
        """Count the partitions of each topic that is there; raises KafkaUnusableError."""
        from kafka.errors import KafkaError  # noqa: PLC0415 - an extra, which `admin` asks for

        admin = self.admin()
        try:
            return {each["name"]: len(each["partitions"]) for each in admin.describe_topics()}
        except KafkaError as error:
            raise KafkaUnusableError(f"topics could not be listed: {error}") from None
        finally:
            admin.close()

    def has_messages(self, topic: str) -> bool:
        """Say whether a topic ever had a message; raises KafkaUnusableError."""
        from kafka import TopicPartition  # noqa: PLC0415 - an extra, which `consumer` asks for
        from kafka.errors import KafkaError  # noqa: PLC0415

        consumer = self.consumer()
        try:
            partitions = [TopicPartition(topic, each) for each in consumer.partitions_for_topic(topic) or ()]
            return any(consumer.end_offsets(partitions).values())
        except KafkaError as error:
            raise KafkaUnusableError(f"topic {topic} cannot be read: {error}") from None
        finally:
            consumer.close()

    def _made(self, client: Callable[..., _Client], *topics: str, **more: Any) -> _Client:  # noqa: ANN401
        from kafka.errors import KafkaError, KafkaTimeoutError  # noqa: PLC0415 - an extra

        credentials = self.credentials
        try:
            return client(
                *topics,
                bootstrap_servers=list(self.bootstrap),
                client_id="rolehawk",
                bootstrap_timeout_ms=CONNECT_TIMEOUT_MS,
                reconnect_backoff_max_ms=RECONNECT_MS,
                security_protocol=credentials.security_protocol,
                sasl_mechanism=credentials.mechanism,
                sasl_plain_username=credentials.username,
                sasl_plain_password=credentials.password.reveal() if credentials.password else None,
                ssl_context=credentials.tls,
                **more,
            )
        except KafkaTimeoutError:
            raise KafkaUnusableError(
                f"{', '.join(self.bootstrap)}: no broker answers there, or it does not take the login "
                "([kafka.sasl], [kafka.tls])"
            ) from None
        except KafkaError as error:
            raise KafkaUnusableError(f"{', '.join(self.bootstrap)}: {error}") from None


def _credentials(settings: Settings) -> Credentials:
    kafka = settings.kafka
    try:
        tls = None if kafka.tls is None else _tls(kafka.tls)
        if (sasl := kafka.sasl) is None:
            return Credentials("PLAINTEXT" if tls is None else "SSL", tls=tls)
        password = find_secret("kafka.sasl.password", sasl.password_env, sasl.password_file)
    except SecretError as error:
        raise KafkaUnusableError(str(error)) from None
    return Credentials("SASL_PLAINTEXT" if tls is None else "SASL_SSL", sasl.mechanism, sasl.username, password, tls)


def _tls(tls: Tls) -> ssl.SSLContext:
    password = find_secret("kafka.tls.key_password", tls.key_password_env, tls.key_password_file)
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.certificate_file is not None:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(tls.certificate_file, tls.key_file, password.reveal() if password else "")
    except (OSError, ssl.SSLError) as error:  # a file that is missing does not say which
        named = [each for each in (tls.ca_file, tls.certificate_file, tls.key_file) if each is not None]
        missing = [each for each in named if not Path(each).is_file()]
        raise KafkaUnusableError(f"kafka.tls: {', '.join(missing or named)}: {error.strerror or error}") from None
    return context
