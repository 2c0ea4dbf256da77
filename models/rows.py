"""State as rows: small pieces of what a desk knows, each under a key, of which only those that changed are written.

A store (SQLite, a Kafka table with its changelog) keeps rows as they are given, and gives them back in any order. A row's
bytes begin with the version of state, so that what another version wrote is refused by name and never misread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

STATE_VERSION: Final = (
    3  # counts up when rows of before can no longer be read; a field that has a default is no such case
)

_T = TypeVar("_T")
_VERSION: Final = bytes([STATE_VERSION])


class StateVersionError(ValueError):
    """State that this version cannot read: another one wrote it, or it is damaged."""


class Row(NamedTuple):
    """One row of state: which desk's, under which key (a JSON array: kind, then names), and its bytes; None: it is gone."""

    desk: str
    key: str
    value: bytes | None


class Tracked(dict[str, _T]):
    """A dictionary that knows which of its keys changed since that was last asked, in the order in which they did.

    What is changed in place is told by `touch`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changed: dict[str, None] = {}
        self.written = 0  # rows written so far: numbers them, so that what changed first is known again as such

    def touch(self, key: str) -> None:
        """Note that what is under a key has changed."""
        self.changed[key] = None

    def __setitem__(self, key: str, value: _T) -> None:
        self.changed.pop(key, None)
        self.changed[key] = None
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self.changed[key] = None

    def pop(self, key: str, *default: Any) -> Any:  # noqa: ANN401 - as dict has it
        """Take out and give what is under a key."""
        if key in self:
            self.changed[key] = None
        return super().pop(key, *default)


class RowKind(Generic[_T]):
    """One kind of row: how it is named and written."""

    def __init__(self, name: str, of: Any) -> None:  # noqa: ANN401 - a type, or a union of types
        self.name = name
        self._decode = msgspec.msgpack.Decoder(tuple[int, of]).decode

    def row(self, desk: str, names: tuple[str, ...], number: int, value: _T | None) -> Row:
        """Write a row; the number says where it stands among its like."""
        key = _encode_key((self.name, *names)).decode()
        return Row(desk, key, None if value is None else _VERSION + _encode((number, value)))

    def changes(self, desk: str, tracked: Tracked[_T], *above: str) -> Iterator[Row]:
        """Write what has changed of a dictionary, and forget that it has; ``above`` are names before its own."""
        changed, tracked.changed = tracked.changed, {}
        for key in changed:
            tracked.written += 1
            yield self.row(desk, (*above, key), tracked.written, tracked.get(key))

    def read(self, stored: Stored) -> tuple[int, _T]:
        """Read a row's number and value; raises StateVersionError."""
        if (found := stored.value[:1]) != _VERSION:
            version = found[0] if found else "none"
            raise StateVersionError(
                f"state {stored.key} has version {version}, this rolehawk reads version {STATE_VERSION}"
            )
        try:
            return self._decode(memoryview(stored.value)[1:])
        except msgspec.MsgspecError as error:
            raise StateVersionError(f"state {stored.key} cannot be read: {error}") from None

    def fill(self, tracked: Tracked[_T], rows: Iterable[Stored]) -> None:
        """Put stored rows into a dictionary, in the order in which they were written; none of them counts as changed."""
        found = sorted(((*self.read(each), each.names[-1]) for each in rows), key=lambda item: (item[0], item[2]))
        for number, value, name in found:
            dict.__setitem__(tracked, name, value)
            tracked.written = number


class Stored(NamedTuple):
    """A row as a store gives it back."""

    key: str
    kind: str
    names: tuple[str, ...]
    value: bytes


def by_kind(rows: Iterable[Row]) -> dict[str, list[Stored]]:
    """Sort a desk's rows by their kind; raises StateVersionError for a key that is none."""
    found: dict[str, list[Stored]] = {}
    for _, key, value in rows:
        try:
            kind, *names = _decode_key(key)
        except (msgspec.MsgspecError, ValueError):
            raise StateVersionError(f"state {key!r:.80} is no row of state") from None
        if value is not None:
            found.setdefault(kind, []).append(Stored(key, kind, tuple(names), value))
    return found


_encode = msgspec.msgpack.Encoder().encode
_encode_key = msgspec.json.Encoder().encode
_decode_key = msgspec.json.Decoder(tuple[str, ...]).decode
