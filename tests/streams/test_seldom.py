"""What the worker's libraries may say in its log."""

from __future__ import annotations

import logging

from streams.seldom import Seldom


def said(name: str, words: str, *values: object) -> logging.LogRecord:
    """Make a message of the log."""
    return logging.LogRecord(name, logging.ERROR, __file__, 1, words, values, None)


def test_a_library_says_the_same_once_a_minute() -> None:
    """Whatever it names; something else at once, and what we say always."""
    now = 0.0
    seldom = Seldom(lambda: now)
    assert seldom.filter(said("aiokafka", "Unable connect to node with id %s: %s", 1, "refused"))
    assert not seldom.filter(said("aiokafka", "Unable connect to node with id %s: %s", 2, "timed out"))
    assert seldom.filter(said("aiokafka", "Unable to update metadata from %s", [1]))
    assert seldom.filter(said("aiokafka.consumer.fetcher", "Unable to update metadata from %s", [1]))
    assert [seldom.filter(said("streams.keeper", "rejected")) for _ in range(3)] == [True] * 3
    now = 60.0
    assert seldom.filter(said("aiokafka", "Unable connect to node with id %s: %s", 1, "refused"))
