"""The sample trail is what its script makes, and small enough to live in the repository."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from examples import make_sample_trail
from models.reader import EventReader
from models.record import Record, decode_log_file

STORED = Path(make_sample_trail.__file__).parent / "sample-trail"


@pytest.fixture(scope="module")
def stored() -> dict[str, bytes]:
    """Read the log files as they lie in the repository."""
    return {path.relative_to(STORED).as_posix(): path.read_bytes() for path in STORED.rglob("*.json.gz")}


@pytest.fixture(scope="module")
def records(stored: dict[str, bytes]) -> list[Record]:
    """Decode all stored records as the product does."""
    return [record for content in stored.values() for record in decode_log_file(gzip.decompress(content)).records]


def test_script_makes_what_is_stored(stored: dict[str, bytes]) -> None:
    """The same files with the same records; compared decompressed, for zlibs differ in how well they compress."""
    made = make_sample_trail.make()
    logs = {path for path in made if path.endswith(".json.gz")}
    assert logs == stored.keys()
    assert all(gzip.decompress(made[path]) == gzip.decompress(stored[path]) for path in logs)
    assert all(made[path] == (STORED / path).read_bytes() for path in made.keys() - logs)


def test_script_makes_the_same_bytes_twice() -> None:
    """Nothing but the seed decides, not even on the compressed bytes."""
    assert make_sample_trail.make() == make_sample_trail.make()
    assert make_sample_trail.make() != make_sample_trail.make(seed=1)


def test_trail_is_small(stored: dict[str, bytes], records: list[Record]) -> None:
    """Under 500,000 bytes of files, and 2,000 to 5,000 records in three accounts."""
    assert sum(map(len, stored.values())) < 500_000
    assert 2_000 <= len(records) <= 5_000
    assert len({record.recipient_account_id for record in records}) == 3


def test_some_records_come_twice(records: list[Record]) -> None:
    """A few records are delivered twice, as in life."""
    assert 5 <= len(records) - len({record.event_id for record in records}) <= 30


def test_every_record_is_readable_and_attributed(records: list[Record]) -> None:
    """The product places each record in time and names who acted, but for sign-ins with a hidden name."""
    reader = EventReader()
    nameless = [event for event in reader.read_all(records) if event.actor is None]
    assert {event.identity.user_name for event in nameless if event.identity} <= {"HIDDEN_DUE_TO_SECURITY_REASONS"}


def test_keys_and_addresses_are_kept_for_documentation(stored: dict[str, bytes], records: list[Record]) -> None:
    """No access key or token looks like a leaked one, no address could be somebody's."""
    text = b"".join(map(gzip.decompress, stored.values())).decode()
    assert all(key.endswith("EXAMPLE") for key in re.findall(r'"accessKeyId":"([^"]+)"', text))
    assert all(token.startswith("EXAMPLE") for token in re.findall(r'"sessionToken":"([^"]+)"', text))
    documentation = ("192.0.2.", "198.51.100.", "203.0.113.", "10.", "2001:db8:", "AWS Internal")
    addresses = {record.source_ip_address or "" for record in records}
    assert all(address.startswith(documentation) or address.endswith(".amazonaws.com") for address in addresses)
