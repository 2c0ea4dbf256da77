"""The bench of scoring counts what it says, on a real replay."""

# ruff: noqa: S603 - our own bench
from __future__ import annotations

import re
import subprocess
import sys


def test_each_part_is_called_and_timed() -> None:
    """Events are noted, hours are learned, principals are told apart: each in some time of its own."""
    line = [sys.executable, "-m", "bench.scoring", "--events", "6000", "--days", "20"]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    found = {
        label: (int(calls.replace(",", "")), float(each))
        for label, calls, each in re.findall(r"^(\w[^\n]*?)  +[\d.]+ +([\d,]+) +([\d.]+)$", said, re.MULTILINE)
    }
    assert len(found) == 4
    noted, learned, _, told = found.values()
    assert noted[0] > learned[0] > 0 < told[0]
    assert noted[1] > 0 < learned[1]
    assert re.search(r"^scoring: \d", said, re.MULTILINE)
