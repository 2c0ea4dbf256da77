"""When a changelog is read once more."""

from __future__ import annotations

from faust.types import TP

from streams.recovery import Patience


class Reading:
    """Tables that are being read."""

    def __init__(self) -> None:
        self.in_recovery = True
        self.ends = {TP("changelog", 0): 9, TP("changelog", 1): 9}
        self.active_offsets: dict[TP, int | None] = dict.fromkeys(self.ends, -1)

    def active_remaining(self) -> dict[TP, int]:
        """Count what is missing, as Faust does: of what it has looked for."""
        known = {tp: offset for tp, offset in self.active_offsets.items() if offset is not None}
        return {tp: self.ends[tp] - offset for tp, offset in known.items()}


def test_what_does_not_move_is_read_again_from_where_it_stands() -> None:
    """Again and again, one partition or several; an empty table from the beginning."""
    reading, patience = Reading(), Patience()
    assert patience.lost_with(reading) == {}
    assert patience.lost_with(reading) == {TP("changelog", 0): 0, TP("changelog", 1): 0}
    reading.active_offsets[TP("changelog", 1)] = 4
    assert patience.lost_with(reading) == {TP("changelog", 0): 0}
    assert patience.lost_with(reading) == {TP("changelog", 0): 0, TP("changelog", 1): 4}


def test_what_moves_or_is_whole_is_left_alone() -> None:
    """Slow is not lost; at its end, ahead of the end that was asked for, not yet looked for, and out of recovery."""
    reading, patience = Reading(), Patience()
    for at in range(9):
        reading.active_offsets = {TP("changelog", 0): at, TP("changelog", 1): 9 + at}
        assert patience.lost_with(reading) == {}
    reading.active_offsets = {TP("changelog", 0): None, TP("changelog", 1): 9}
    assert [patience.lost_with(reading) for _ in range(3)] == [{}] * 3
    reading.active_offsets = {TP("changelog", 0): 3, TP("changelog", 1): 9}
    assert patience.lost_with(reading) == {}
    reading.in_recovery = False
    assert patience.lost_with(reading) == {}
    reading.in_recovery = True
    assert patience.lost_with(reading) == {}
