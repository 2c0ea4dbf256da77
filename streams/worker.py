"""The worker: the engine over Kafka, as agents of Faust, on as many machines as there are shards.

    source -> filing -> filed topic -> desks (by shard) -> drafts topic -> incidents (one for all) -> findings topic

Agents do no more than hand messages on: what is read and filed is `Inbox`'s, what is known and stored `Keeper`'s
business. No exception ends an agent; what makes a message fail goes to the rejected topic with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import faust
from faust.types.auth import SASLMechanism

from models.desks.pair import Desks
from models.desks.tray import Fault
from models.detectors import build
from models.event import Event as CloudTrailEvent
from models.finding import Finding
from models.record import encode
from models.settings import Context, Settings
from models.trail import Batch, Rejected
from streams.filing import Filer
from streams.formats.jsonl import line
from streams.inbox import Inbox
from streams.kafka import Cluster, KafkaUnusableError
from streams.keeper import Event, Keeper
from streams.localstore import TableStore
from streams.outbox import MAX_FLUSH, MAX_REQUEST, Outbox
from streams.readback import read_back
from streams.shard import Incidents, Shard
from streams.summary import rejected_row

SESSION_TIMEOUT_S: Final = 10.0  # a worker that is not heard of for so long has lost its partitions
HEARTBEAT_S: Final = 3.0
REBALANCE_TIMEOUT_S: Final = 20.0
REVOKE_TIMEOUT_S: Final = 5.0  # to let go of partitions with nothing under way
BUFFERED: Final = 32  # messages read ahead of each partition: a filed batch may have a megabyte

_DAY_MS: Final = 86_400_000
_log = logging.getLogger(__name__)


class Stream(Protocol):
    """What is used of a stream of Faust's."""

    def noack(self) -> Stream:
        """Leave acknowledging to us."""

    def events(self) -> AsyncIterator[Event]:
        """Give messages with their place."""


class SilentMonitor(faust.Monitor):
    """Measures nothing: Faust's own counts cost more than the desks, and nobody asks for them."""

    def on_message_in(self, tp: Any, offset: int, message: Any) -> None: ...
    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> None: ...
    def on_stream_event_out(self, tp: Any, offset: int, stream: Any, event: Any, state: Any = None) -> None: ...
    def on_message_out(self, tp: Any, offset: int, message: Any) -> None: ...


class Tally:
    """Counts what happens."""

    def __init__(self) -> None:
        self.events = self.duplicates = self.rejected = self.ignored = self.changes = 0
        self.on_fault: Callable[[Fault], None] = lambda _fault: None

    def read(self, batch: Batch, unfiled: list[CloudTrailEvent]) -> None:
        """Count events of a message of the source, and those that concern nobody."""
        self.events += len(batch.events)
        self.rejected += len(batch.rejected)
        self.ignored += len(unfiled) + batch.digests + batch.insights

    def duplicate(self, count: int) -> None:
        """Count events that had been there before."""
        self.duplicates += count

    def fault(self, fault: Fault) -> None:
        """Tell of a detector, or a desk, that raised."""
        self.on_fault(fault)

    def changed(self, _finding: Finding) -> None:
        """Count a finding that opened, changed or closed."""
        self.changes += 1


class Worker:
    """One process of the stream."""

    def __init__(self, settings: Settings, cluster: Cluster, folder: Path) -> None:
        self._settings = settings
        self._stream = settings.stream
        self._topics = settings.stream.topics
        self._cluster = cluster
        self._client = _client(cluster)
        self._outbox: Outbox | None = None
        self._rejections: set[asyncio.Task[None]] = set()
        self._rules = build(settings)
        self._filing = Desks(self._rules, Context(settings))  # says what is filed where, and knows nothing
        self.tally = Tally()
        self.tally.on_fault = self._on_fault
        self.app = self._app(folder)
        self._shards = self._table("shards", self._stream.shards)
        self._incidents = self._table("incidents", 1)
        self._agent("filing", self._topics.cloudtrail, self._file)
        self._agent("desks", self._topics.filed, self._look)
        self._agent("incidents", self._topics.drafts, self._fold)

    def prepare(self) -> None:
        """Make the topics that are missing; raises KafkaUnusableError where those that are there do not fit."""
        shards, group = self._stream.shards, self._stream.group
        topics = self._topics
        state = {f"{group}-shards-changelog": shards, f"{group}-incidents-changelog": 1}
        wanted = {topics.filed: shards, topics.drafts: 1, **state}
        there = self._cluster.partitions()
        for name, count in wanted.items():
            if there.get(name, count) != count:
                raise KafkaUnusableError(
                    f"topic {name} has {there[name]} partitions, the settings want {count}: the number of shards is "
                    "fixed when state is first made (stream.shards); to change it, start over with another stream.group "
                    "and topics, seeded from history"
                )
        large = {"max.message.bytes": str(MAX_REQUEST + 65_536)}
        self._cluster.make_topics(
            {topics.cloudtrail: shards, topics.findings: 1, topics.rejected: 1, **wanted},
            {
                topics.filed: {**large, "retention.ms": str(3 * _DAY_MS)},
                topics.drafts: {**large, "retention.ms": str(7 * _DAY_MS)},
                topics.findings: {"cleanup.policy": "compact", "min.compaction.lag.ms": str(7 * _DAY_MS)},
                topics.rejected: {"retention.ms": str(14 * _DAY_MS)},
                **{name: {"cleanup.policy": "compact", "max.message.bytes": str(MAX_FLUSH + 65_536)} for name in state},
            },
        )

    def run(self) -> None:
        """Work until told to stop; raises SystemExit."""
        mode_worker: Any = faust.Worker(self.app, loglevel="warn", redirect_stdouts=False)
        mode_worker.execute_from_commandline()

    # Agents

    async def _file(self, stream: Stream) -> None:
        inbox: Inbox | None = None
        try:
            async for event in stream.noack().events():
                if inbox is None:
                    inbox = await self._inbox(event.message.partition)
                await inbox.take(event)
        finally:
            if inbox is not None:
                await inbox.close()

    async def _look(self, stream: Stream) -> None:
        keeper: Keeper | None = None
        try:
            async for event in stream.noack().events():
                if keeper is None:
                    keeper = await self._shard_keeper(event.message.partition)
                await keeper.take(event)
        finally:
            if keeper is not None:
                await keeper.close()

    async def _fold(self, stream: Stream) -> None:
        keeper: Keeper | None = None
        try:
            async for event in stream.noack().events():
                if keeper is None:
                    state = Incidents(self._rules, self._settings, self.tally)
                    keeper = await self._keeper(0, state, self._incidents)
                await keeper.take(event)
        finally:
            if keeper is not None:
                await keeper.close()

    async def _inbox(self, partition: int) -> Inbox:
        shards = self._stream.shards
        return Inbox(
            Filer(partition, shards, self._filing, self._stream.allowance_minutes * 60),
            shards,
            await self._writer(),
            self.tally,
            on_rejected=self._reject,
            on_broken=self._break_off,
        )

    async def _shard_keeper(self, partition: int) -> Keeper:
        shard = Shard(partition, self._rules, self._settings, self.tally)
        keeper = await self._keeper(partition, shard, self._shards)
        await read_back(self._client, self._topics.filed, shard)
        return keeper

    async def _keeper(self, partition: int, state: Shard | Incidents, table: Any) -> Keeper:  # noqa: ANN401 - Faust's
        return Keeper(
            partition,
            state,
            TableStore(table, partition),
            await self._writer(),
            is_steady=lambda: not (self.app.rebalancing or self.app.in_recovery),
            on_broken=self._break_off,
            on_rejected=self._reject_message,
        )

    # What goes wrong

    async def _reject(self, rejected: Rejected) -> None:
        outbox = await self._writer()
        await outbox.send("rejected", line(rejected_row(rejected)).encode())

    async def _reject_message(self, event: Event, reason: str) -> None:
        where = f"partition {event.message.partition}, offset {event.message.offset}"
        await self._reject(Rejected(where, 0, "", reason, event.value or b""))

    def _on_fault(self, fault: Fault) -> None:
        """Tell of an event at which a detector raised, without making the desks wait for it."""
        event = fault.event
        where = "the passing of time" if event is None else f"event {event.event_id}"
        what = f"detector {fault.detector}" if fault.detector else "a desk"
        content = b"" if event is None else encode(event.record)
        task = asyncio.ensure_future(self._reject(Rejected(where, 0, "", f"{what} raised {fault.error}", content)))
        self._rejections.add(task)
        task.add_done_callback(self._rejections.discard)

    async def _break_off(self, error: BaseException) -> None:
        """End the process: whoever starts it again goes on from what is stored."""
        await self.app.crash(error)

    # Faust

    def _app(self, folder: Path) -> faust.App:
        credentials = self._cluster.credentials
        app = faust.App(
            self._stream.group,
            broker=[f"kafka://{address}" for address in self._cluster.bootstrap],
            broker_credentials=_faust_credentials(self._cluster),
            store="rocksdb://?driver=rocksdict",
            datadir=str(folder),
            Monitor=SilentMonitor,
            web_enabled=False,
            value_serializer="raw",
            key_serializer="raw",
            topic_partitions=self._stream.shards,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            consumer_auto_offset_reset="earliest",
            broker_max_poll_records=500,
            broker_session_timeout=SESSION_TIMEOUT_S,
            broker_heartbeat_interval=HEARTBEAT_S,
            broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
            stream_buffer_maxsize=BUFFERED,
            stream_wait_empty=False,  # what is not acknowledged is done again by whoever has the partition next
            recovery_consistency_check=False,  # the store may be ahead of a highwater mark that was read before a flush
            worker_redirect_stdouts=False,
        )
        app.on_partitions_revoked.connect(self._let_go)
        return app

    def _table(self, name: str, partitions: int) -> Any:  # noqa: ANN401 - Faust's own type says less than is used
        return self.app.Table(name, key_type=bytes, value_type=bytes, partitions=partitions)

    def _agent(self, name: str, topic: str, run: Callable[[Stream], Awaitable[None]]) -> None:
        channel = self.app.topic(topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
        self.app.agent(channel, name=name, isolated_partitions=True)(run)

    async def _writer(self) -> Outbox:
        if self._outbox is None:
            topics = self._topics
            roles = {"filed": topics.filed, "drafts": topics.drafts, "findings": topics.findings}
            self._outbox = Outbox(self._client, {**roles, "rejected": topics.rejected})
            await self._outbox.start()
        return self._outbox

    async def _let_go(self, _app: Any, _revoked: Any, **_more: Any) -> None:
        """Have nothing under way when another worker takes a partition over."""
        if self._outbox is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._outbox.flush(), REVOKE_TIMEOUT_S)


def _client(cluster: Cluster) -> dict[str, Any]:
    """Say how aiokafka's clients connect."""
    credentials = cluster.credentials
    login = {
        "sasl_mechanism": credentials.mechanism,
        "sasl_plain_username": credentials.username,
        "sasl_plain_password": credentials.password,
    }
    return {
        "bootstrap_servers": list(cluster.bootstrap),
        "client_id": "rolehawk",
        "security_protocol": credentials.security_protocol,
        "ssl_context": credentials.tls,
        **(login if credentials.mechanism else {}),
    }


def _faust_credentials(cluster: Cluster) -> Any:  # noqa: ANN401 - None, or one of two types
    credentials = cluster.credentials
    if credentials.mechanism is not None:
        return faust.SASLCredentials(
            username=credentials.username,
            password=credentials.password,
            mechanism=SASLMechanism(credentials.mechanism),
            ssl_context=credentials.tls,
        )
    return None if credentials.tls is None else faust.SSLCredentials(context=credentials.tls)
