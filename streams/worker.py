"""The worker: the engine over Kafka, as agents of Faust, on as many machines as there are shards.

    source -> filing -> filed topic -> desks (by shard) -> drafts topic -> incidents (one for all) -> findings topic

Agents do no more than hand messages on: what is read and filed is `Inbox`'s, what is known and stored `Keeper`'s
business. No exception ends an agent; what makes a message fail goes to the rejected topic with it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, cast

import faust
from faust.types import TP
from faust.types.auth import SASLMechanism

from models.desks.pair import Desks
from models.detectors import build
from models.network import Locate
from models.settings import Context, Settings
from streams.filing import Filer
from streams.inbox import Inbox
from streams.kafka import Cluster
from streams.keeper import Course, Event, Keeper
from streams.learning.model import model_of
from streams.localstore import TableStore
from streams.metrics import Metrics
from streams.outbox import Outbox
from streams.output import UNUSABLE
from streams.readback import read_back
from streams.shard import Incidents, Shard
from streams.tally import Tally
from streams.topics import INCIDENTS, SHARDS

SESSION_TIMEOUT_S: Final = 10.0  # a worker that is not heard of for so long has lost its partitions
COMMIT_S: Final = 1.0
COMMIT_AGAIN_S: Final = 10.0
HEARTBEAT_S: Final = 3.0
REBALANCE_TIMEOUT_S: Final = 20.0
CRASH_TIMEOUT_S: Final = 10.0  # for Faust to end in good order once it has given up
REVOKE_TIMEOUT_S: Final = 5.0  # to let go of partitions with nothing under way
BUFFERED: Final = 32  # messages read ahead of each partition: a filed batch may have a megabyte

_log = logging.getLogger(__name__)


class Stream(Protocol):
    """What is used of a stream of Faust's."""

    def noack(self) -> Stream:
        """Leave acknowledging to us."""

    def events(self) -> AsyncIterator[Event]:
        """Give messages with their place."""


class _Consumer(Protocol):
    """What is used of Faust's consumer."""

    _committed_offset: dict[TP, int | None]

    def assignment(self) -> set[TP]:
        """Give the partitions of this worker."""

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        """Commit."""


class _Partition:
    """Where the messages of one partition come from."""

    def __init__(self, app: Any, partition: TP, done: dict[TP, int]) -> None:  # noqa: ANN401 - Faust's own type says less than is used
        self._app = app
        self.partition = partition
        self._done = done

    def is_steady(self) -> bool:
        """Say whether partitions stay with whom they are."""
        return _is_steady(self._app)

    def is_behind(self, offset: int) -> bool:
        """Say whether there is a message at an offset or after it, as far as Kafka has told."""
        return int(self._app.consumer.highwater(self.partition) or 0) > offset

    async def earliest(self) -> int:
        """Give the offset of the oldest message that is still there."""
        offsets = await self._app.consumer.earliest_offsets(self.partition)
        return int(offsets[self.partition])

    async def go_to(self, offset: int) -> None:
        """Let messages come from an offset on."""
        await self._app.consumer.seek(self.partition, offset)

    def done(self, offset: int) -> None:
        """Take it that all before an offset is done for good."""
        self._done[self.partition] = offset


def _is_steady(app: Any) -> bool:  # noqa: ANN401 - as above
    return not (app.rebalancing or app.in_recovery)


class SilentMonitor(faust.Monitor):
    """Measures nothing: Faust's own counts cost more than the desks, and nobody asks for them."""

    def on_message_in(self, *_: object) -> None:
        """Do nothing."""

    on_stream_event_in = on_stream_event_out = on_message_out = on_message_in  # type: ignore[assignment]  # of any shape


class Worker:
    """One process of the stream."""

    def __init__(
        self, settings: Settings, cluster: Cluster, folder: Path, metrics: Metrics, locate: Locate | None = None
    ) -> None:
        self._context = Context(settings, locate)
        self._learned = model_of(settings)
        self._stream = settings.stream
        self._topics = settings.stream.topics
        self._cluster = cluster
        self._client = client_options(cluster)
        self._outbox: Outbox | None = None
        self._done: dict[TP, int] = {}  # by partition, before which offset all is done
        self._rules = metrics.timed(build(settings))
        self._filing = Desks(self._rules, self._context)  # says what is filed where, and knows nothing
        self._tally = Tally(metrics)
        self.app = self._app(folder)
        self._shards = self._table(SHARDS, self._stream.shards)
        self._incidents = self._table(INCIDENTS, 1)
        self._agent("filing", self._topics.cloudtrail, self._inbox)
        self._agent("desks", self._topics.filed, self._shard)
        self._agent("incidents", self._topics.drafts, self._incidents_desk)

    def run(self) -> None:
        """Work until told to stop; raises SystemExit."""
        threading.Thread(target=self._end_if_broken, name="watchdog", daemon=True).start()
        program: Any = faust.Worker(self.app, loglevel="warn", redirect_stdouts=False)
        program.spinner = None
        program.execute_from_commandline()

    def _end_if_broken(self) -> None:
        """End the process where Faust has given up and hangs: whoever starts it again goes on from what is stored."""
        while not self.app.crashed:
            time.sleep(1)
        time.sleep(CRASH_TIMEOUT_S)
        os._exit(UNUSABLE)

    # Agents

    async def _work(self, stream: Stream, open_for: Callable[[int], Awaitable[Inbox | Keeper]]) -> None:
        """Hand the messages of one partition to what is opened for it; Faust runs this anew when it is assigned anew."""
        desk: Inbox | Keeper | None = None
        try:
            async for event in stream.noack().events():
                if desk is None:
                    desk = await open_for(event.message.partition)
                await desk.take(event)
        except Exception as error:  # noqa: BLE001 - Faust would go on with the next message, and this one would be lost
            _log.exception("a partition cannot be worked on")
            await self._break_off(error)
            await asyncio.Event().wait()
        finally:
            if desk is not None:
                await desk.close()

    async def _inbox(self, partition: int) -> Inbox:
        shards = self._stream.shards
        place = self._place(TP(self._topics.cloudtrail, partition))
        committed = cast("_Consumer", self.app.consumer)._committed_offset.get(place.partition)  # noqa: SLF001 - as below
        return Inbox(
            Filer(partition, shards, self._filing, self._stream.allowance_minutes * 60),
            shards,
            await self._writer(),
            self._tally,
            course=Course(partition, place),
            place=place,
            begins_at=committed if committed is not None else await place.earliest(),
            on_broken=self._break_off,
        )

    def _place(self, partition: TP) -> _Partition:
        """Say where a partition's messages come from; what was done of it before it was ours does not count."""
        self._done.pop(partition, None)
        return _Partition(self.app, partition, self._done)

    async def _shard(self, partition: int) -> Keeper:
        shard = Shard(partition, self._rules, self._context, self._tally, self._learned)
        keeper = await self._keeper(self._topics.filed, partition, shard, self._shards)
        await read_back(self._client, self._topics.filed, shard)
        return keeper

    async def _incidents_desk(self, partition: int) -> Keeper:
        incidents = Incidents(self._rules, self._context, self._tally)
        return await self._keeper(self._topics.drafts, partition, incidents, self._incidents)

    async def _keeper(self, topic: str, partition: int, state: Shard | Incidents, table: Any) -> Keeper:  # noqa: ANN401
        keeper = Keeper(
            partition,
            state,
            TableStore(table, partition),
            await self._writer(),
            on_close=lambda: self._tally.gave(state),
            place=self._place(TP(topic, partition)),
            on_broken=self._break_off,
        )
        self._tally.took(state)
        return keeper

    # What goes wrong

    async def _commit_again(self) -> None:
        """Commit what is done, as we know it.

        Faust commits too; but what met a rebalance it takes for committed though it was refused, and behind a message that
        it did not give again it commits no more. Nothing would be lost; yet messages would seem to be left.
        """
        while True:
            await asyncio.sleep(COMMIT_AGAIN_S)
            consumer = cast("_Consumer", self.app.consumer)
            if _is_steady(self.app):
                assigned = consumer.assignment()
                offsets = {tp: offset for tp, offset in self._done.items() if tp in assigned}
                if offsets:
                    await consumer._commit(offsets)  # noqa: SLF001

    async def _break_off(self, error: BaseException) -> None:
        """Give up: state that could not be stored must not be built upon."""
        await self.app.crash(error)

    # Faust

    def _app(self, folder: Path) -> faust.App:
        app = faust.App(
            self._stream.group,
            broker=[f"kafka://{address}" for address in self._cluster.bootstrap],
            broker_credentials=faust_credentials(self._cluster),
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
            broker_commit_interval=COMMIT_S,
            stream_buffer_maxsize=BUFFERED,
            stream_wait_empty=False,  # what is not acknowledged is done again by whoever has the partition next
            recovery_consistency_check=False,  # the store may be ahead of a highwater mark that was read before a flush
            worker_redirect_stdouts=False,
        )
        app.on_partitions_revoked.connect(self._let_go)
        app.task(self._tally.take_census)
        app.task(self._commit_again)
        return app

    def _table(self, name: str, partitions: int) -> Any:  # noqa: ANN401 - Faust's own type says less than is used
        return self.app.Table(name, key_type=bytes, value_type=bytes, partitions=partitions)

    def _agent(self, name: str, topic: str, open_for: Callable[[int], Awaitable[Inbox | Keeper]]) -> None:
        async def run(stream: Stream) -> None:
            await self._work(stream, open_for)

        channel = self.app.topic(topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
        agent: Any = self.app.agent(channel, name=name, isolated_partitions=True)
        agent(run)

    async def _writer(self) -> Outbox:
        if self._outbox is None:
            topics = self._topics
            roles = {"filed": topics.filed, "drafts": topics.drafts, "findings": topics.findings}
            self._outbox = Outbox(self._client, {**roles, "rejected": topics.rejected})
            await self._outbox.start()
        return self._outbox

    async def _let_go(self, *_: object, **_more: object) -> None:
        """Have nothing under way when another worker takes a partition over."""
        if self._outbox is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._outbox.flush(), REVOKE_TIMEOUT_S)


def client_options(cluster: Cluster) -> dict[str, Any]:
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


def faust_credentials(cluster: Cluster) -> Any:  # noqa: ANN401 - None, or one of two types
    """Say how Faust's clients log in."""
    credentials = cluster.credentials
    if credentials.mechanism is not None:
        return faust.SASLCredentials(
            username=credentials.username,
            password=credentials.password,
            mechanism=SASLMechanism(credentials.mechanism),
            ssl_context=credentials.tls,
        )
    return None if credentials.tls is None else faust.SSLCredentials(context=credentials.tls)
