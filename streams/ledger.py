"""What every sink has been told, kept in SQLite: written down before a thing is told, and after.

A delivery that was begun and not ended, because the process died or the answer never came, is in doubt, and stays due.
All is safe on disk (``synchronous=FULL``) when a method returns; threads may share a ledger.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Condition
from typing import Final, NamedTuple

import msgspec

from models.finding import Finding, Severity
from models.paging import HOUR_S, Delivery, Digest, Recent, Told, Wanted, digest
from models.record import iso
from streams.database import StateError, opened, prepare

FILE: Final = "alerts.sqlite"
VERSION: Final = 1
MAX_KNOWN: Final = 100_000  # findings remembered; what is over and told goes first, the longest unheard of before all
MAX_WAITING: Final = 10_000  # pages due at one sink; then the least severe, longest waiting go into the digest
MAX_HELD: Final = 1_000  # findings of one digest

_SCHEMA: Final = """
CREATE TABLE matters (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, seen_at REAL NOT NULL, body BLOB NOT NULL);
CREATE INDEX matters_by_age ON matters (seen_at);
CREATE TABLE deliveries (
  sink TEXT NOT NULL, key TEXT NOT NULL, entity TEXT NOT NULL,
  wanted TEXT NOT NULL, severity INTEGER NOT NULL,
  heard TEXT, heard_severity INTEGER NOT NULL, doubt TEXT, doubt_severity INTEGER NOT NULL, refused TEXT,
  attempts INTEGER NOT NULL DEFAULT 0, due_at REAL, held_at REAL, paged_at REAL, begun_at REAL,
  PRIMARY KEY (sink, key));
CREATE INDEX next ON deliveries (sink, attempts, severity DESC, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX due ON deliveries (sink, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX held ON deliveries (sink, held_at) WHERE held_at IS NOT NULL;
CREATE INDEX paged ON deliveries (sink, entity, paged_at) WHERE paged_at IS NOT NULL;
CREATE INDEX refused ON deliveries (sink) WHERE refused IS NOT NULL;
CREATE INDEX by_key ON deliveries (key);
"""
_COLUMNS: Final = "wanted, severity, heard, heard_severity, doubt, doubt_severity, refused"
# A page that a sink has not heard of yet: a resolve or a repeat is of one that it has.
_PAGE: Final = "due_at IS NOT NULL AND wanted = 'trigger' AND heard IS NOT 'trigger' AND doubt IS NULL"
_Row = tuple[Wanted, int, Told | None, int, Told | None, int, str | None]

Decide = Callable[[Finding, Delivery | None, Recent], Wanted]


class Due(NamedTuple):
    """One thing to tell a sink now."""

    key: str
    told: Told
    severity: int
    body: bytes  # JSON of the finding, or of the digest
    revision: int
    before: tuple[int, ...]  # severities under which it stands, or may stand, open at the sink
    begun_at: float  # when this was first tried
    is_in_doubt: bool  # it was tried before, and the answer never came
    is_repeat: bool  # said again lest the sink lets it go
    earlier: tuple[Told | None, int]  # what was in doubt before


class DeadLetter(msgspec.Struct, frozen=True):
    """What a sink will not take."""

    sink: str
    key: str
    wanted: str
    reason: str
    body: msgspec.Raw


class Ledger:
    """The state of all deliveries: matters (findings, digests) by key, and what each sink has heard of each."""

    def __init__(self, folder: Path | None, resend_s: Mapping[str, float] | None = None) -> None:
        """Open the ledger of a folder, which is made, and locked until `close`; None keeps it in memory.

        ``resend_s`` says of each sink that needs it how often what is open must be said again.
        Raises StateError where the folder cannot be used, or another process uses it.
        """
        self.changed = Condition()  # held by who uses the connection; notified when `news` counts up
        self.news = 0
        self._resend_s = dict(resend_s or {})
        self._files = ExitStack()
        if folder is not None:
            self._base = self._files.enter_context(opened(folder, FILE, _SCHEMA, VERSION))
        else:
            self._base = self._files.enter_context(
                closing(sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None))
            )
            prepare(self._base, _SCHEMA, VERSION)

    @classmethod
    def copy_of(cls, folder: Path, resend_s: Mapping[str, float] | None = None) -> Ledger:
        """Copy a folder's ledger into memory, whoever uses it; an empty one where there is none."""
        made = cls(None, resend_s)
        try:
            if (folder / FILE).exists():
                with closing(sqlite3.connect(f"{(folder / FILE).resolve().as_uri()}?mode=ro", uri=True)) as source:
                    source.backup(made._base)
                prepare(made._base, _SCHEMA, VERSION)
        except (OSError, sqlite3.Error) as error:
            made.close()
            raise StateError(f"{folder}: {getattr(error, 'strerror', None) or error}") from None
        return made

    def close(self) -> None:
        """Close it, and let others have the folder."""
        with self.changed:
            self._files.close()

    # Findings come in

    def take(self, finding: Finding, sinks: Iterable[str], decide: Decide, now: float) -> dict[str, Wanted]:
        """Take in one change of a finding, within `writing`; says what each sink concerned should hear that is new.

        A revision that is not newer than the last is passed over. ``sinks`` are those that the routes name; one that
        knows the finding already is concerned too.
        """
        key = finding.finding_id
        row = self._base.execute("SELECT revision FROM matters WHERE key = ?", (key,)).fetchone()
        if row is not None and row[0] >= finding.revision:
            return {}
        severity = int(Severity.parse(finding.severity))
        known = {
            sink: self._delivery(sink, key)
            for (sink,) in self._base.execute("SELECT sink FROM deliveries WHERE key = ?", (key,)).fetchall()
        }
        news: dict[str, Wanted] = {}
        for sink in dict.fromkeys((*sinks, *known)):
            before = known.get(sink)
            wanted = decide(finding, before, self._recent(sink, finding.entity.arn, key, now))
            if before is None and wanted == "resolve":
                continue
            if before is None or before.wanted != wanted:
                news[sink] = wanted
            delivery = before or Delivery(wanted=wanted, severity=severity)
            delivery.want(wanted, severity)
            is_page = wanted == "trigger" and sink in news
            self._save(sink, key, delivery, now, entity=finding.entity.arn, paged_at=now if is_page else None)
        self._base.execute(  # even where nobody is told: an older revision may yet come
            "INSERT INTO matters VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, "
            "seen_at = excluded.seen_at, body = excluded.body",
            (key, finding.revision, now, msgspec.json.encode(finding) if news or known else b""),
        )
        return news

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let all that is taken inside be written together, or not at all; then wake who waits for work."""
        with self._together():
            yield
        with self.changed:
            self.news += 1
            self.changed.notify_all()

    def keep_bounds(self, now: float) -> dict[str, int]:
        """Forget what is over, and move pages beyond MAX_WAITING into the digest, within `writing`; counts these."""
        (known,) = self._base.execute("SELECT count(*) FROM matters").fetchone()
        if known > MAX_KNOWN:
            self._base.execute(
                "DELETE FROM matters WHERE key IN (SELECT key FROM matters AS old WHERE NOT EXISTS (SELECT 1 FROM "
                "deliveries WHERE key = old.key AND (due_at IS NOT NULL OR held_at IS NOT NULL OR heard = 'trigger')) "
                "ORDER BY seen_at LIMIT ?)",
                (known - MAX_KNOWN + MAX_KNOWN // 100,),  # some more: not every time
            )
            self._base.execute("DELETE FROM deliveries WHERE key NOT IN (SELECT key FROM matters)")
        moved: dict[str, int] = {}
        sinks = self._base.execute(f"SELECT sink, count(*) FROM deliveries WHERE {_PAGE} GROUP BY sink").fetchall()  # noqa: S608
        for sink, waiting in sinks:
            if waiting > MAX_WAITING:
                moved[sink] = self._base.execute(
                    "UPDATE deliveries SET wanted = 'held', held_at = ?, due_at = NULL WHERE sink = ? AND key IN "  # noqa: S608
                    f"(SELECT key FROM deliveries WHERE sink = ? AND {_PAGE} ORDER BY severity, due_at LIMIT ?)",
                    (now, sink, sink, waiting - MAX_WAITING),
                ).rowcount
        return moved

    # Deliveries go out

    def set_back(self, sink: str, now: float) -> None:
        """Bring to now what lies in the future, where the clock was set back: nothing waits until it has caught up."""
        latest = {"due_at": now + self._resend_s.get(sink, 0), "held_at": now, "paged_at": now}
        with self._together():
            for column, at in latest.items():
                self._base.execute(
                    f"UPDATE deliveries SET {column} = ? WHERE sink = ? AND {column} > ?",  # noqa: S608
                    (now, sink, at),
                )

    def begin(self, sink: str, now: float) -> Due | None:
        """Pick what a sink should be told first, and write down that it is about to be; None where nothing is due.

        What failed least goes first, then the most severe: no message can keep others waiting.
        """
        with self._together():
            row = self._base.execute(
                f"SELECT key, begun_at, {_COLUMNS} FROM deliveries INDEXED BY next WHERE sink = ? AND due_at <= ? "  # noqa: S608
                "ORDER BY attempts, severity DESC, due_at LIMIT 1",
                (sink, now),
            ).fetchone()
            if row is None:
                return None
            key, begun_at, delivery = row[0], row[1], _delivery_of(row[2:])
            revision, body = self._base.execute("SELECT revision, body FROM matters WHERE key = ?", (key,)).fetchone()
            is_repeat = not delivery.is_due
            told: Told
            told, severity = delivery.telling if delivery.is_due else ("trigger", delivery.heard_severity)
            earlier = (delivery.doubt, delivery.doubt_severity)
            is_in_doubt = earlier == (told, severity)
            begun_at = begun_at if is_in_doubt else float(now)
            before = delivery.standing
            if not is_repeat:
                delivery.doubt, delivery.doubt_severity = told, severity
                self._save(sink, key, delivery, now)
                self._base.execute(
                    "UPDATE deliveries SET begun_at = ? WHERE sink = ? AND key = ?", (begun_at, sink, key)
                )
            return Due(key, told, severity, body, revision, before, begun_at, is_in_doubt, is_repeat, earlier)

    def end(self, sink: str, due: Due, outcome: str, reason: str, now: float) -> None:
        """Write down what became of a delivery (an outcome of `Answer`)."""
        is_over = outcome in ("taken", "refused")
        with self._together():
            delivery = self._delivery(sink, due.key)
            if outcome == "taken":
                delivery.heard, delivery.heard_severity, delivery.doubt = due.told, due.severity, None
            elif outcome != "doubtful" and not due.is_repeat:
                delivery.doubt, delivery.doubt_severity = due.earlier
            if outcome == "refused" and delivery.telling == (due.told, due.severity):
                delivery.refused = reason
            if is_over or not due.is_repeat:  # a repeat that failed stays due
                self._save(sink, due.key, delivery, now)
            self._base.execute(
                "UPDATE deliveries SET attempts = CASE WHEN ? THEN 0 ELSE attempts + 1 END WHERE sink = ? AND key = ?",
                (is_over, sink, due.key),
            )

    def gather(self, sink: str, now: float, patience_s: float) -> Digest | None:
        """Make one digest of what is held for a sink, if the first of it has been held so long, or it is full."""
        with self._together():
            count, first = self._base.execute(
                "SELECT count(*), min(held_at) FROM deliveries WHERE sink = ? AND held_at IS NOT NULL", (sink,)
            ).fetchone()
            if not count or (first + patience_s > now and count < MAX_HELD):
                return None
            rows = self._base.execute(
                "SELECT deliveries.key, body FROM deliveries JOIN matters ON matters.key = deliveries.key WHERE sink = ? "
                "AND held_at IS NOT NULL ORDER BY held_at, deliveries.key LIMIT ?",
                (sink, MAX_HELD),
            ).fetchall()
            keys = [key for key, _ in rows]
            findings = (msgspec.json.decode(body, type=Finding) for _, body in rows)
            key = sha256("\0".join((sink, repr(first), *keys)).encode()).hexdigest()[:32]
            made = digest(findings, key, iso(int(now)))
            self._base.execute("INSERT INTO matters VALUES (?, 1, ?, ?)", (key, now, msgspec.json.encode(made)))
            highest = max(Severity.parse(label) for label in made.by_severity)
            self._save(sink, key, Delivery(wanted="digest", severity=int(highest)), now, entity="")
            self._base.executemany(
                "UPDATE deliveries SET wanted = 'digested', held_at = NULL WHERE sink = ? AND key = ?",
                [(sink, each) for each in keys],
            )
            return made

    def next_at(self, sink: str, patience_s: float) -> float | None:
        """Say when a sink has something to be told, or a digest is due; None where nothing will be."""
        with self._asking():
            (due,) = self._base.execute("SELECT min(due_at) FROM deliveries WHERE sink = ?", (sink,)).fetchone()
            (held,) = self._base.execute("SELECT min(held_at) FROM deliveries WHERE sink = ?", (sink,)).fetchone()
        moments = [*([] if due is None else [due]), *([] if held is None else [held + patience_s])]
        return min(moments, default=None)

    def waiting(self, now: float) -> dict[str, int]:
        """Count what is not yet told, by sink: what is due, and what is held."""
        with self._asking():
            return dict(
                self._base.execute(
                    "SELECT sink, count(*) FROM deliveries WHERE due_at <= ? OR held_at IS NOT NULL GROUP BY sink",
                    (now,),
                ).fetchall()
            )

    def dead_letters(self) -> list[DeadLetter]:
        """List what sinks refused."""
        with self._asking():
            rows = self._base.execute(
                "SELECT sink, deliveries.key, wanted, refused, body FROM deliveries JOIN matters ON matters.key = "
                "deliveries.key WHERE refused IS NOT NULL ORDER BY sink, deliveries.key"
            ).fetchall()
        return [DeadLetter(sink, key, wanted, why, msgspec.Raw(body)) for sink, key, wanted, why, body in rows]

    def retry_dead_letters(self, now: float) -> int:
        """Let what was refused be tried again; counts it."""
        with self.writing():
            rows = self._base.execute("SELECT sink, key FROM deliveries WHERE refused IS NOT NULL").fetchall()
            for sink, key in rows:
                delivery = self._delivery(sink, key)
                delivery.refused = None
                self._save(sink, key, delivery, now)
            return len(rows)

    # Rows

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """See what is there at one time; raises StateError where it cannot be read."""
        with self.changed:
            try:
                yield
            except sqlite3.Error as error:
                raise StateError(f"the state cannot be read: {error}") from None

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Write all that is written inside, or nothing; raises StateError where the disk does not take it."""
        with self.changed:
            try:
                self._base.execute("BEGIN IMMEDIATE")
                yield
                self._base.execute("COMMIT")
            except BaseException as error:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StateError(f"the state cannot be written: {error}") from None
                raise

    def _delivery(self, sink: str, key: str) -> Delivery:
        row = self._base.execute(
            f"SELECT {_COLUMNS} FROM deliveries WHERE sink = ? AND key = ?",  # noqa: S608
            (sink, key),
        ).fetchone()
        return _delivery_of(row)

    def _save(
        self,
        sink: str,
        key: str,
        delivery: Delivery,
        now: float,
        *,
        entity: str | None = None,
        paged_at: float | None = None,
    ) -> None:
        """Write a delivery, and work out when it is due or since when it is held."""
        repeat_s = self._resend_s.get(sink)
        is_open = delivery.heard == "trigger" and delivery.wanted == "trigger"
        due_at = now if delivery.is_due else now + repeat_s if is_open and repeat_s is not None else None
        held_at = now if delivery.wanted == "held" else None
        self._base.execute(
            f"INSERT INTO deliveries (sink, key, entity, {_COLUMNS}, due_at, held_at, paged_at) "  # noqa: S608
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sink, key) DO UPDATE SET "
            "wanted = excluded.wanted, severity = excluded.severity, heard = excluded.heard, "
            "heard_severity = excluded.heard_severity, doubt = excluded.doubt, doubt_severity = excluded.doubt_severity, "
            "refused = excluded.refused, due_at = excluded.due_at, "
            "held_at = CASE WHEN excluded.held_at IS NULL THEN NULL ELSE coalesce(held_at, excluded.held_at) END, "
            "paged_at = coalesce(excluded.paged_at, paged_at)",
            (sink, key, entity or "", *msgspec.structs.astuple(delivery), due_at, held_at, paged_at),
        )

    def _recent(self, sink: str, entity: str, key: str, now: float) -> Recent:
        count, highest = self._base.execute(
            "SELECT count(*), coalesce(max(severity), -1) FROM deliveries "
            "WHERE sink = ? AND entity = ? AND paged_at > ? AND key <> ?",
            (sink, entity, now - HOUR_S, key),
        ).fetchone()
        return Recent(count, highest)


def _delivery_of(row: _Row) -> Delivery:
    wanted, severity, heard, heard_severity, doubt, doubt_severity, refused = row
    return Delivery(
        wanted=wanted, severity=severity, heard=heard, heard_severity=heard_severity,
        doubt=doubt, doubt_severity=doubt_severity, refused=refused,
    )  # fmt: skip
