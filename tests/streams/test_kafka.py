"""Logging in to a real Kafka: SASL and TLS by the settings alone, and no secret anywhere else."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion

from models.settings import Settings, parse_settings
from streams.broker import Broker, BrokerError, free_port
from streams.kafka import BOOTSTRAP_VARIABLE, Cluster, KafkaUnusableError
from tests.streams.test_ingest import environment

PASSWORD = "correct-horse-battery-staple"


class Issued(NamedTuple):
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> str:
        """Write the certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_pem(self, password: str = "") -> str:
        """Write the key, encrypted where there is a password."""
        how = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


def issue(name: str, by: Issued | None = None) -> Issued:
    """Issue a certificate; by nobody, it is an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=by is None, crl_sign=by is None, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((by.key if by else key).public_key()), critical=False
        )
        .sign(by.key if by else key, hashes.SHA256())
    )
    return Issued(certificate, key)


class Secured(NamedTuple):
    """A broker with two more listeners: one that asks for name and password, one that asks for a certificate."""

    sasl: int  # ports
    mutual: int
    folder: Path  # with ca.pem, client.pem, client.key


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Start such a broker, with a user for each mechanism."""
    folder = tmp_path_factory.mktemp("secured")
    authority = issue("authority")
    server, client = issue("server", authority), issue("client", authority)
    (folder / "ca.pem").write_text(authority.pem())
    (folder / "client.pem").write_text(client.pem())
    (folder / "client.key").write_text(client.key_pem(PASSWORD))
    port = free_port()
    sasl, mutual = free_port(port), free_port(port)
    listeners = {"PLAINTEXT": port, "SASL": sasl, "MUTUAL": mutual}
    addresses = ",".join(f"{name}://127.0.0.1:{number}" for name, number in listeners.items())
    login = "org.apache.kafka.common.security"
    broker = Broker(
        folder / "broker",
        port=port,
        properties={
            "listeners": f"{addresses},CONTROLLER://127.0.0.1:{(controller := free_port(port))}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "advertised.listeners": addresses,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": server.pem().replace("\n", "\\n"),
            "ssl.keystore.key": server.key_pem().replace("\n", "\\n"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.certificates": authority.pem().replace("\n", "\\n"),
            "listener.name.mutual.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl.plain.sasl.jaas.config": (
                f'{login}.plain.PlainLoginModule required user_rolehawk="{PASSWORD}";'
            ),
            "listener.name.sasl.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        },
    )
    try:
        broker.start()
    except BrokerError as error:
        pytest.skip(str(error))
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        told = admin.alter_user_scram_credentials([UserScramCredentialUpsertion("rolehawk", mechanism, PASSWORD)])
        assert told == {"rolehawk": None}
    admin.close()
    yield Secured(sasl, mutual, folder)
    broker.close()


def by_password(secured: Secured, mechanism: str) -> Settings:
    """Give settings that log in with name and password."""
    return parse_settings(f"""
[kafka]
bootstrap = ["127.0.0.1:{secured.sasl}"]
sasl = {{mechanism = "{mechanism}", username = "rolehawk", password_env = "KAFKA_PASSWORD"}}
tls = {{ca_file = "{secured.folder}/ca.pem"}}
""")


def by_certificate(secured: Secured, key_password_file: Path) -> Settings:
    """Give settings that log in with a certificate, whose key has a password."""
    return parse_settings(f"""
[kafka]
bootstrap = ["127.0.0.1:{secured.mutual}"]
[kafka.tls]
ca_file = "{secured.folder}/ca.pem"
certificate_file = "{secured.folder}/client.pem"
key_file = "{secured.folder}/client.key"
key_password_file = "{key_password_file}"
""")


def round_trip(cluster: Cluster, topic: str) -> list[bytes]:
    """Make a topic, write into it and read it."""
    cluster.make_topics({topic: 1})
    producer = cluster.producer()
    producer.send(topic, b"arrived")
    producer.flush()
    producer.close()
    consumer = cluster.consumer(topic, auto_offset_reset="earliest")
    values: list[bytes] = []
    while not values:
        values += [message.value for batch in consumer.poll(500).values() for message in batch]
    consumer.close()
    return values


@pytest.mark.long
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_name_and_password(secured: Secured, monkeypatch: pytest.MonkeyPatch, mechanism: str) -> None:
    """By each mechanism topics are made, written and read; the password is in no text that anybody may see."""
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    monkeypatch.delenv(BOOTSTRAP_VARIABLE, raising=False)
    settings = by_password(secured, mechanism)
    cluster = Cluster.of(settings)
    assert round_trip(cluster, mechanism.lower()) == [b"arrived"]
    assert PASSWORD not in repr(settings) + repr(cluster) + str(cluster.credentials)


@pytest.mark.long
def test_wrong_password_is_told_and_not_shown(secured: Secured, tmp_path: Path) -> None:
    """A wrong password is one line on stderr, which does not show it."""
    settings = tmp_path / "rolehawk.toml"
    settings.write_text(
        f"""[kafka]
bootstrap = ["127.0.0.1:{secured.sasl}"]
sasl = {{mechanism = "SCRAM-SHA-512", username = "rolehawk", password_env = "KAFKA_PASSWORD"}}
tls = {{ca_file = "{secured.folder}/ca.pem"}}
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "ingest", "--settings", str(settings), "trail.json"],
        env={**environment(), "KAFKA_PASSWORD": "wrong-horse"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"rolehawk: 127.0.0.1:{secured.sasl}: no broker answers there, or it does not take the login "
        "([kafka.sasl], [kafka.tls])\n"
    )


@pytest.mark.long
def test_certificate(secured: Secured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By mutual TLS, with a key that has a password in a file, topics are made, written and read."""
    monkeypatch.delenv(BOOTSTRAP_VARIABLE, raising=False)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    assert round_trip(Cluster.of(by_certificate(secured, tmp_path / "password")), "mutual") == [b"arrived"]
    (tmp_path / "password").write_text("wrong\n")
    with pytest.raises(KafkaUnusableError, match=r"client\.key") as error:
        Cluster.of(by_certificate(secured, tmp_path / "password"))
    assert "wrong" not in str(error.value)


def test_where_kafka_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given goes before the environment, that before the settings; nothing at all says how to give it."""
    settings = parse_settings('[kafka]\nbootstrap = ["settings:1"]')
    monkeypatch.delenv(BOOTSTRAP_VARIABLE, raising=False)
    assert Cluster.of(settings).bootstrap == ("settings:1",)
    monkeypatch.setenv(BOOTSTRAP_VARIABLE, "environment:1, environment:2")
    assert Cluster.of(settings).bootstrap == ("environment:1", "environment:2")
    assert Cluster.of(settings, "given:1").bootstrap == ("given:1",)
    monkeypatch.delenv(BOOTSTRAP_VARIABLE)
    with pytest.raises(KafkaUnusableError, match="rolehawk broker"):
        Cluster.of(Settings())


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ('password_env = "NOT_SET"', "kafka.sasl.password_env: there is no environment variable 'NOT_SET'"),
        ('password_file = "nowhere"', "kafka.sasl.password_file: nowhere: No such file"),
        ('password_file = "empty"', "empty: is empty"),
        ('password_file = "two"', "kafka.sasl.password_file: has a line end"),
        ('password_file = "latin"', "latin: not UTF-8"),
    ],
)
def test_a_secret_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, words: str
) -> None:
    """The variable or the file is named, and nothing of what is in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two").write_text("first\nsecond line")
    (tmp_path / "latin").write_bytes(b"secr\xe8t")
    settings = parse_settings(
        f'[kafka]\nbootstrap = ["a:1"]\nsasl = {{mechanism = "SCRAM-SHA-256", username = "a", {where}}}'
    )
    with pytest.raises(KafkaUnusableError, match=words) as error:
        Cluster.of(settings)
    assert "second" not in str(error.value)
    assert "secr\\" not in str(error.value)
