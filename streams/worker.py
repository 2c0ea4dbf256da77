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
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # it ships no types
from faust.types import TP

from models.desks.pair import Desks
from models.detectors import build
from models.network import Locate
from models.settings import Context, Settings
from streams.commits import ANSWER_S, COMMIT_S, SESSION_TIMEOUT_S, Commits, Consumer
from streams.course import Course, Event
from streams.filing import Filer, idle_tick
from streams.inbox import Inbox
from streams.kafka import Cluster
from streams.keeper import Keeper
from streams.learning.model import model_of
from streams.localstore import LocalStore
from streams.login import client_options, faust_credentials
from streams.metrics import Metrics
from streams.outbox import Outbox
from streams.output import UNUSABLE
from streams.readback import Reader
from streams.seldom import Seldom
from streams.shard import Incidents, Shard
from streams.table import Table
from streams.tally import Tally
from streams.topics import INCIDENTS, SHARDS, changelog

WAKE_S: Final = 10.0
STEADY_S: Final = 0.1
HEARTBEAT_S: Final = 3.0
REBALANCE_TIMEOUT_S: Final = 20.0
CRASH_TIMEOUT_S: Final = 10.0  # for Faust to end in good order once it has given up
REVOKE_TIMEOUT_S: Final = 12.0  # to let go of partitions with no flush under way; less than what a rebalance takes
BUFFERED: Final = 32  # messages read ahead of each partition: a filed batch may have a megabyte

_log = logging.getLogger(__name__)


class Stream(Protocol):
    """What is used of a stream of Faust's."""

    def noack(self) -> Stream:
        """Leave acknowledging to us."""

    def events(self) -> AsyncIterator[Event]:
        """Give messages with their place."""


class _Partition:
    """Where the messages of one partition come from."""

    def __init__(self, worker: Worker, tp: TP) -> None:
        self._worker = worker
        self._tp = tp

    def is_steady(self) -> bool:
        """Say whether partitions stay with whom they are."""
        return self._worker.is_steady()

    async def is_ours(self) -> bool:
        """Say whether nobody else can have it."""
        return await self._worker.is_ours(self._tp)

    async def first_at(self, offset: int) -> int | None:
        """Find the first message at an offset or after it; None where there is none. Raises KafkaError, TimeoutError."""
        async with asyncio.timeout(ANSWER_S):
            end = (await self._worker.consumer.highwaters(self._tp))[self._tp]
            if offset >= end:
                return None
            return await self._worker.reader.first_at(self._tp.topic, self._tp.partition, offset, end)

    async def go_to(self, offset: int) -> None:
        """Let messages come from an offset on; raises KafkaError, TimeoutError."""
        async with asyncio.timeout(ANSWER_S):
            await self._worker.consumer.seek_wait({self._tp: offset})


class SilentMonitor(faust.Monitor):
    """Measures nothing: Faust's own counts cost more than the desks, and nobody asks for them."""

    def on_message_in(self, *_: object) -> None:
        """Do nothing."""

    on_stream_event_in = on_stream_event_out = on_message_out = on_message_in  # type: ignore[assignment]  # of any shape


class _Program(faust.Worker):
    """Faust's own process around the agents."""

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:  # noqa: ARG002 - Faust's own contract
        """Let libraries say the same thing seldom."""
        for handler in logger.handlers:
            handler.addFilter(Seldom())


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
        self.reader = Reader(self._client)
        self._outbox: Outbox | None = None
        self._folder = folder
        self._stores: dict[TP, LocalStore] = {}  # also of partitions that others have now
        self.on_stopping: Callable[[], None] = lambda: None
        self._open: dict[TP, Inbox | Keeper] = {}
        self._opening: set[TP] = set()
        self._closing: set[asyncio.Future[None]] = set()
        self._commits = Commits(lambda: self.consumer, self._open)
        self._empty: set[TP] = set()  # source partitions without a message, where shards know that
        self._rules = metrics.timed(build(settings))
        self._filing = Desks(self._rules, self._context)  # says what is filed where, and knows nothing
        self._tally = Tally(metrics)
        self.app = self._app(folder)
        self._agent("filing", self._topics.cloudtrail, self._inbox)
        self._agent("desks", self._topics.filed, self._shard)
        self._agent("incidents", self._topics.drafts, self._incidents_desk)

    def run(self) -> None:
        """Work until told to stop; raises SystemExit."""
        threading.Thread(target=self._end_if_broken, name="watchdog", daemon=True).start()
        program: Any = _Program(self.app, loglevel="warn", redirect_stdouts=False, quiet=True)
        program.spinner = None
        program.execute_from_commandline()

    def _end_if_broken(self) -> None:
        """End the process where Faust has given up and hangs: whoever starts it again goes on from what is stored."""
        while not self.app.crashed:
            time.sleep(1)
        time.sleep(CRASH_TIMEOUT_S)
        os._exit(UNUSABLE)

    @property
    def consumer(self) -> Consumer:
        """The consumer of all partitions."""
        return cast("Consumer", self.app.consumer)

    def is_steady(self) -> bool:
        """Say whether partitions stay with whom they are."""
        return not self.app.rebalancing

    async def is_ours(self, tp: TP) -> bool:
        """Say whether nobody else can have a partition."""
        return await self._commits.is_ours(tp)

    # Agents

    async def _work(self, stream: Stream, topic: str, open_for: Callable[[TP], Awaitable[Inbox | Keeper]]) -> None:
        """Hand the messages of one partition to what is opened for it; Faust runs this anew when it is assigned anew."""
        tp: TP | None = None
        try:
            async for event in stream.noack().events():
                tp = TP(topic, event.message.partition)
                if (desk := self._open.get(tp)) is None:
                    desk = self._open[tp] = await self._opened(tp, open_for)
                    desk.start()
                await desk.take(event)
        except Exception as error:  # noqa: BLE001 - Faust would go on with the next message, and this one would be lost
            _log.exception("a partition cannot be worked on")
            await self._break_off(error)
            await asyncio.Event().wait()
        finally:
            if tp is not None:
                await self._close(tp)

    async def _opened(self, tp: TP, open_for: Callable[[TP], Awaitable[Inbox | Keeper]]) -> Inbox | Keeper:
        """Open a partition, anew where partitions changed hands meanwhile: another may have had it."""
        while True:
            while self._closing or not self.is_steady() or not await self.is_ours(tp):  # noqa: ASYNC110 - Faust has no event
                await asyncio.sleep(STEADY_S)
            generation = self.app.consumer_generation_id
            self._opening.add(tp)
            try:
                desk = await open_for(tp)
            finally:
                self._opening.discard(tp)
            if self.is_steady() and generation == self.app.consumer_generation_id:
                return desk
            await desk.close()

    async def _close(self, tp: TP) -> None:
        if (desk := self._open.pop(tp, None)) is not None:
            self._commits.forget(tp)
            await desk.close()

    def _begin_anew(self, tp: TP) -> None:
        """Close a partition, to open it again from what is stored once it is ours."""
        self._closing.add(closing := asyncio.ensure_future(self._close(tp)))
        closing.add_done_callback(self._closing.discard)

    async def _inbox(self, tp: TP) -> Inbox:
        shards = self._stream.shards
        place = _Partition(self, tp)
        begins_at = self.consumer._committed_offset.get(tp)  # noqa: SLF001 - as far as another came
        if begins_at is None:
            begins_at = await place.first_at(0) or 0
        return Inbox(
            Filer(
                tp.partition,
                shards,
                self._filing,
                self._stream.allowance_minutes * 60,
                sources=self.consumer.topic_partitions(tp.topic) or 0,
            ),
            shards,
            await self._writer(),
            self._tally,
            course=Course(place),
            begins_at=begins_at,
            on_broken=self._break_off,
        )

    async def _shard(self, tp: TP) -> Keeper:
        shard = Shard(tp.partition, self._rules, self._context, self._tally, self._learned)
        keeper = await self._keeper(tp, shard, SHARDS)
        try:
            await self.reader.read_back(tp.topic, shard)
        except BaseException:
            await keeper.close()
            raise
        return keeper

    async def _incidents_desk(self, tp: TP) -> Keeper:
        incidents = Incidents(self._rules, self._context, self._tally, shards=self._stream.shards)
        return await self._keeper(tp, incidents, INCIDENTS)

    async def _keeper(self, tp: TP, state: Shard | Incidents, table: str) -> Keeper:
        if (store := self._stores.get(tp)) is None:
            store = self._stores[tp] = LocalStore(self._folder / table / str(tp.partition))
        return Keeper(
            tp.partition,
            state,
            await Table(store, changelog(self._stream, table), tp.partition, self._client).open(),
            await self._writer(),
            course=Course(_Partition(self, tp)),
            census=self._tally,
            on_lost=lambda: self._begin_anew(tp),
            on_broken=self._break_off,
        )

    # What is done

    async def _commit_on(self) -> None:
        """Commit what is done from time to time."""
        while True:
            await asyncio.sleep(COMMIT_S)
            if self.is_steady():
                await self._commits.commit()

    async def _wake(self) -> None:
        """See to partitions that nothing comes of: Faust may have thrown away what is there."""
        while True:
            await asyncio.sleep(WAKE_S)
            for tp in self.consumer.assignment() - self._empty - self._open.keys() - self._opening:
                if self.is_steady():
                    with suppress(KafkaError, TimeoutError):  # it is tried again
                        await self._wake_one(tp)

    async def _wake_one(self, tp: TP) -> None:
        """Go back to what is not done; of a source to its last message even so: what is quiet must be known to be."""
        place = _Partition(self, tp)
        is_source = tp.topic == self._topics.cloudtrail
        committed = self.consumer._committed_offset.get(tp) or 0  # noqa: SLF001 - as above
        if (first := await place.first_at(max(committed - is_source, 0))) is not None:
            await place.go_to(first)
        elif is_source:
            tick = idle_tick(tp.partition, self.consumer.topic_partitions(tp.topic) or 0)
            writer = await self._writer()
            await asyncio.gather(*[await writer.send("filed", tick, None, each) for each in range(self._stream.shards)])
            self._empty.add(tp)

    async def _assigned(self, *_: object, **_more: object) -> None:
        self._empty.clear()  # another may have had something of them meanwhile

    async def _let_go(self, *_: object, **_more: object) -> None:
        """Have no flush under way when another worker takes a partition over, and what is done committed.

        Where that is not taken, another has had the partitions: what this worker knows of them is not built upon.
        """
        try:
            async with asyncio.timeout(REVOKE_TIMEOUT_S):
                for keeper in [each for each in self._open.values() if isinstance(each, Keeper)]:
                    await keeper.rest()
        except TimeoutError as error:
            _log.error("a flush has not ended in %d s: it might come after another worker's", REVOKE_TIMEOUT_S)
            await self._break_off(error)
        if not await self._commit_all():
            for tp in list(self._open):
                await self._close(tp)

    async def _stopping(self, *_: object, **_more: object) -> None:
        self.on_stopping()
        await self._commit_all()

    async def _commit_all(self) -> bool:
        """Commit what is done; says whether Kafka took it."""
        try:
            return await self._commits.commit_all()
        except Exception as error:  # noqa: BLE001 - Faust has given up: then it is done again
            _log.info("not committed: %s", error)
            return False

    async def _break_off(self, error: BaseException) -> None:
        """Give up: state that could not be stored must not be built upon."""
        await self.app.crash(error)

    # Faust

    def _app(self, folder: Path) -> faust.App:
        app = faust.App(
            self._stream.group,
            broker=[f"kafka://{address}" for address in self._cluster.bootstrap],
            broker_credentials=faust_credentials(self._cluster),
            datadir=str(folder),
            Monitor=SilentMonitor,
            web_enabled=False,
            value_serializer="raw",
            key_serializer="raw",
            topic_allow_declare=False,
            topic_disable_leader=True,
            consumer_auto_offset_reset="earliest",
            broker_max_poll_records=500,
            broker_session_timeout=SESSION_TIMEOUT_S,
            broker_heartbeat_interval=HEARTBEAT_S,
            broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
            stream_buffer_maxsize=BUFFERED,
            stream_wait_empty=False,  # what is not acknowledged is done again by whoever has the partition next
            worker_redirect_stdouts=False,
        )
        app.on_partitions_assigned.connect(self._assigned)
        app.on_partitions_revoked.connect(self._let_go)
        app.on_before_shutdown.connect(self._stopping)
        app.task(self._tally.take_census)
        app.task(self._commit_on)
        app.task(self._wake)
        return app

    def _agent(self, name: str, topic: str, open_for: Callable[[TP], Awaitable[Inbox | Keeper]]) -> None:
        async def run(stream: Stream) -> None:
            await self._work(stream, topic, open_for)

        # No acks: Faust would commit what it threw away as partitions changed hands (without its compiled parts it does).
        channel = self.app.topic(topic, value_type=bytes, value_serializer="raw", key_serializer="raw", acks=False)
        agent: Any = self.app.agent(channel, name=name, isolated_partitions=True)
        agent(run)

    async def _writer(self) -> Outbox:
        if self._outbox is None:
            topics = self._topics
            roles = {"filed": topics.filed, "drafts": topics.drafts, "findings": topics.findings}
            self._outbox = Outbox(self._client, {**roles, "rejected": topics.rejected})
            await self._outbox.start()
        return self._outbox
