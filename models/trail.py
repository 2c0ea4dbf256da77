"""From bytes to events: every form in which CloudTrail is stored or passed on, told by content.

Log files (``{"Records": [...]}``), bare lists, single records, JSON lines, documents one behind the other, EventBridge
envelopes, SNS and SQS wrappers, CloudTrail Lake and LookupEvents (a record as a JSON string), exports of search
indices. What fits the types is decoded whole; what does not is read element by element, so that a bad record costs
that record alone. Digest and Insights records are left out and counted. Of a key that stands twice the last one counts,
as it does for nearly every reader of JSON.
Source: AWS CloudTrail user guide, "CloudTrail log file examples", "Digest file structure", "Insights event record".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, field

from models.event import Event
from models.pieces import BEGIN, SPACE, UNDECODABLE, as_utf8, is_json_value, is_lines
from models.reader import EventReader, UnreadableError
from models.record import Record, coerce, decode_lenient, decode_lines, decode_log_file, decode_record

MAX_DEPTH: Final = 4  # envelopes in envelopes

# Where records follow one another: the keys of lists, and what one element holds the next document under.
_LISTS: Final = ("Records", "Events", "Messages", "logEvents")
_TEXTS: Final = ("CloudTrailEvent", "Message", "Body", "body", "message", "eventJson", "eventData", "_raw", "original")
_OBJECTS: Final = ("detail", "Sns", "_source", "event", "result")
_RECORD_KEYS: Final = frozenset({"eventName", "eventTime", "userIdentity"})
_DIGEST_KEYS: Final = frozenset({"digestStartTime", "digestEndTime", "logFiles"})

# A string that is never closed is one token to the end, or each quote in it would be tried anew.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{}]', re.DOTALL)
_BETWEEN = re.compile(rb'[\s,\]}]*(?:\{\s*"(?:Records|Events)"\s*:\s*\[\s*)?|\s*\[\s*')


class Rejected(Struct, frozen=True):
    """What could not be read, or not as it stood: where it was, which field, why, and its bytes."""

    file: str
    record: int  # counted from 1; 0 is the file itself
    field: str
    reason: str
    content: bytes


class Batch(Struct):
    """What one piece of a trail held."""

    events: list[Event] = []
    count: int = 0  # records, readable or not
    rejected: list[Rejected] = []
    repaired: list[Rejected] = []  # read, with an odd value left out or made to fit
    contents: list[bytes] = []  # of each event the record as it was written; empty unless asked for
    digests: int = 0  # digest files
    insights: int = 0  # Insights records


class _Listed(Struct, gc=False):
    """A document that holds a list of records or of messages, each left as it is."""

    records: list[Raw] | None = field(name="Records", default=None)
    events: list[Raw] | None = field(name="Events", default=None)
    messages: list[Raw] | None = field(name="Messages", default=None)
    log_events: list[Raw] | None = field(name="logEvents", default=None)


_decode_listed = msgspec.json.Decoder(_Listed).decode
_decode_list = msgspec.json.Decoder(list[Record]).decode
_decode_raws = msgspec.json.Decoder(list[Raw]).decode


class TrailReader:
    """Reads pieces of trails into events; keeps what repeats between them, and the parameters that are asked for.

    ``with_contents`` keeps each record's bytes beside its event, for whoever passes records on.
    """

    def __init__(self, asked_for: frozenset[str] | None = None, *, with_contents: bool = False) -> None:
        self._events = EventReader(asked_for)
        self._with_contents = with_contents

    def read(self, data: bytes, file: str, first: int = 1) -> Batch:
        """Read one piece of a file: whole documents or whole lines, at most MAX_PIECE bytes.

        ``first`` is the number of its first record. Nothing raises: what cannot be read is in the batch, with its place.
        """
        data = as_utf8(data)
        try:
            if not self._with_contents and (records := _typed(data)) is not None:
                return Batch(self._events.read_all(records), len(records))
        except UnreadableError:  # which one, and what else it may be, is seen one by one
            pass
        return _OneByOne(self._events, file, first, with_contents=self._with_contents).read(data)


class _OneByOne:
    """One piece read record by record."""

    def __init__(self, reader: EventReader, file: str, first: int, *, with_contents: bool) -> None:
        self._reader = reader
        self._file = file
        self._first = first
        self._with_contents = with_contents
        self._batch = Batch()

    def read(self, data: bytes) -> Batch:
        """Read lines where the piece has them, else documents."""
        if is_lines(data):
            for line in data.split(b"\n"):
                if line := line.strip(SPACE):
                    self._document(line, 0)
        else:
            self._document(data, 0)
        return self._batch

    def _document(self, content: bytes, depth: int) -> None:
        """Read one document, its elements apart if it is a list of any sort."""
        try:
            if not self._with_contents and (records := _typed(content)) is not None:
                self._batch.events += self._reader.read_all(records)
                self._batch.count += len(records)
                return
        except UnreadableError:
            pass
        elements = _elements(content)
        if elements is None:
            self._element(content, depth)
        else:
            self._all(elements, depth)

    def _all(self, elements: Iterable[bytes | _Broken], depth: int) -> None:
        for element in elements:
            if isinstance(element, _Broken):
                self._reject("", element.reason, element.content)
            else:
                self._element(element, depth)

    def _element(self, content: bytes, depth: int) -> None:
        """Read one element: a record, or what a record is wrapped in."""
        try:
            record = decode_record(content)
            if record.event_name and record.event_category != "Insight":
                self._take(self._reader.read(record), content)
                return
        except (*UNDECODABLE, UnreadableError):
            pass
        try:
            value, odd = decode_lenient(content)
        except RecursionError:
            self._reject("", "nested too deep", content)
            return
        except ValueError as error:
            self._reject("", f"no JSON: {error}", content)
            return
        if not isinstance(value, dict):
            self._reject("", "no object, so no record", content)
        elif _RECORD_KEYS & value.keys() or value.get("eventCategory") == "Insight":
            self._record(value, odd, content)
        elif value.keys() >= _DIGEST_KEYS:
            self._batch.digests += 1
        elif depth == MAX_DEPTH:
            self._reject("", f"wrapped more than {MAX_DEPTH} times", content)
        elif (inner := _unwrapped(value)) is not None:
            self._document(inner, depth + 1)
        elif BEGIN.search(content, 1):  # records all the same, under a key that nobody knows
            self._all(_marked(content), depth + 1)
        else:
            self._reject("", "holds no CloudTrail record", content)

    def _record(self, value: dict[str, Any], odd: list[str], content: bytes) -> None:
        if value.get("eventCategory") == "Insight" or value.get("eventType") == "AwsCloudTrailInsight":
            self._batch.insights += 1
            return
        record, unfit = coerce(value)
        try:
            event = self._reader.read(record)
        except UnreadableError as error:
            self._reject(error.field, error.reason, content)
            return
        self._take(event, content)
        if odd or unfit:
            name, _, reason = (*odd, *unfit)[0].partition(": ")
            self._batch.repaired.append(self._at_hand(name, reason, content))

    def _take(self, event: Event, content: bytes) -> None:
        self._batch.count += 1
        self._batch.events.append(event)
        if self._with_contents:
            self._batch.contents.append(content)

    def _reject(self, name: str, reason: str, content: bytes) -> None:
        self._batch.count += 1
        self._batch.rejected.append(self._at_hand(name, reason, content))

    def _at_hand(self, name: str, reason: str, content: bytes) -> Rejected:
        return Rejected(self._file, self._first + self._batch.count - 1, name, reason, content)


class _Broken(Struct, frozen=True, gc=False):
    """A stretch of a list that is no element of it."""

    content: bytes
    reason: str


_NEVER_CLOSED: Final = _Broken(b"", "the list is never closed: whatever came after is missing")


def _typed(content: bytes) -> list[Record] | None:
    """Decode all records of a document at once, or None where anything does not fit the types."""
    try:
        if content[:64].lstrip(SPACE)[:1] == b"[":
            return _decode_list(content)
        try:
            return decode_log_file(content).records
        except msgspec.MsgspecError:
            return decode_lines(content)
    except UNDECODABLE:
        return None


def _elements(content: bytes) -> Iterable[bytes | _Broken] | None:
    """Take a list, or a document that holds one, apart; None where it is neither."""
    try:
        if content.lstrip(SPACE)[:1] == b"[":
            return [bytes(raw) for raw in _decode_raws(content)]
        listed = _decode_listed(content)
        lists = (listed.records, listed.events, listed.messages, listed.log_events)
        found = next((each for each in lists if each is not None), None)
        return None if found is None else [bytes(raw) for raw in found]
    except UNDECODABLE:
        pass
    if is_json_value(content):  # whole, and no list: one element
        return None
    return _marked(content) if BEGIN.search(content) else _documents(content)


def _marked(content: bytes) -> Iterator[bytes | _Broken]:
    """Take apart what is broken somewhere by how records begin; each stretch holds one at most."""
    begins = [match.start() for match in BEGIN.finditer(content)]
    if not _BETWEEN.fullmatch(content, 0, begins[0]):
        yield _Broken(content[: begins[0]], "no JSON before the first record")
    for begin, end in zip(begins, [*begins[1:], len(content)], strict=True):
        stretch = content[begin:end]
        length = _balanced(stretch, 0)
        if length < 0:
            is_last = end == len(content)
            yield _Broken(stretch, "cut off in the middle of a record" if is_last else "no JSON: never closed")
            continue
        yield stretch[:length]
        rest = stretch[length:]
        if not _BETWEEN.fullmatch(rest):
            yield _Broken(rest, "no JSON between two records")
        if end == len(content) and b"[" in content[: begins[0]] and b"]" not in rest:
            yield _NEVER_CLOSED


def _documents(content: bytes) -> Iterator[bytes | _Broken]:
    """Take apart documents that stand one behind the other, and lists that are broken somewhere, by their brackets."""
    at = 0
    if opened := re.match(rb'\s*(?:\{\s*"(?:Records|Events|Messages|logEvents)"\s*:\s*)?\[', content):
        at = opened.end()
    while True:
        while at < len(content) and content[at] in b" \t\r\n,":
            at += 1
        if at == len(content):
            if opened:
                yield _NEVER_CLOSED
            return
        if opened and content[at] in b"]}":
            return
        length = _balanced(content, at) - at if content[at] in b"{[" else -1
        if length <= 0 or (at == 0 and length == len(content)):
            yield _Broken(content[at:], "cut off or no JSON")
            return
        yield content[at : at + length]
        at += length


def _balanced(content: bytes, begin: int) -> int:
    """Find the end of the object or list that begins there, by brackets alone; -1 where it is never closed."""
    depth = 0
    for token in _TOKEN.finditer(content, begin):
        match content[token.start()]:
            case 0x7B | 0x5B:
                depth += 1
            case 0x7D | 0x5D:
                depth -= 1
                if depth == 0:
                    return token.end()
            case _:
                if depth == 0:
                    return -1
    return -1


def _unwrapped(value: dict[str, Any]) -> bytes | None:
    """Take the document out of its envelope, or None where there is none."""
    for key in _TEXTS:
        if isinstance(text := value.get(key), str) and text.lstrip()[:1] in ("{", "["):
            return text.encode("utf-8", "replace")
    for key in (*_TEXTS, *_OBJECTS, *_LISTS):
        if isinstance(inner := value.get(key), dict | list) and inner:
            return msgspec.json.encode(inner)
    return None
