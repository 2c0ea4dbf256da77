"""Which keys there were before the first event: from ListAccessKeys' answers and the credential report.

ListAccessKeys tells ids but names users only; the report tells ARNs and last uses but no ids. A key that both tell of
is joined by its owner and the second it was made in. Source: IAM API reference, "ListAccessKeys"; IAM user guide, "Get
credential reports for your AWS account"; STS API reference, "GetAccessKeyInfo" (a key's id holds its account).
"""

from __future__ import annotations

import csv
import re
from base64 import b32decode, b64decode
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import structs

from models.behaviour.keys import NAMELESS, KeyRow
from models.entity import account_of, bare_arn
from models.record import epoch, text_of

_METADATA: Final = "AccessKeyMetadata"
_REPORT_BEGINS: Final = "user,arn,user_creation_time,"
# The ids of keys made before 2019 begin with AKIAI or AKIAJ and hold no account.
_TELLING_ID = re.compile(r"AKIA[A-HK-Z2-7][A-Z2-7]{15}")


class UnplacedError(ValueError):
    """A key whose account nothing tells."""


def is_key_list(value: object) -> bool:
    """Say whether a document is ListAccessKeys' answer."""
    return isinstance(value, dict) and isinstance(value.get(_METADATA), list)


def report_in(value: object) -> str | None:
    """Take the credential report out of GetCredentialReport's answer; None where the document is none."""
    content = text_of(value.get("Content")) if isinstance(value, dict) else None
    if content is None:
        return None
    if is_report(content):
        return content
    try:
        text = b64decode(content, validate=True).decode()
    except ValueError:
        return None
    return text if is_report(text) else None


def is_report(text: str) -> bool:
    """Say whether a text is the credential report."""
    return text.removeprefix("\ufeff").startswith(_REPORT_BEGINS)


def read_keys(answers: Sequence[dict[str, Any]], reports: Sequence[str], users: Iterable[str] = ()) -> list[KeyRow]:
    """Read all files together, by owner and key; ``users`` are ARNs of users that other inventories name.

    A key's account is that of the only user of its name, else the one that the key's id holds; raises UnplacedError
    where neither tells. A row of the report bears ``access-key-1`` or ``-2`` in place of the id that it lacks.
    """
    report = [row for text in reports for row in _rows_of(text)]
    owners: dict[str, set[str]] = {}
    for arn in (*(arn for arn, _ in report), *users):
        owners.setdefault(arn.rpartition("/")[2], set()).add(arn)
    rows: dict[tuple[str, str], KeyRow] = {}
    for metadata in (each for answer in answers for each in answer.get(_METADATA) or [] if isinstance(each, dict)):
        name, key_id = text_of(metadata.get("UserName")), text_of(metadata.get("AccessKeyId"))
        if not name or not key_id:
            continue
        owner = _owner(name, key_id, owners.get(name, set()))
        if owner is None:
            raise UnplacedError(f"{key_id} of user {name}: nothing tells its account")
        rows[owner, key_id] = KeyRow(
            owner, key_id, metadata.get("Status") == "Active", _instant(metadata.get("CreateDate"))
        )
    listed = {(row.owner, row.created_at): row for row in rows.values()}
    for row in (key for arn, columns in report for key in _reported(arn, columns)):
        known = listed.get((row.owner, row.created_at))
        if known is not None:
            rows[known.owner, known.key_id] = structs.replace(known, last_used_at=row.last_used_at)
        else:
            rows[row.owner, row.key_id] = row
    return [rows[at] for at in sorted(rows)]


def account_in(key_id: str) -> str | None:
    """Read the account out of a key's id; None where it holds none."""
    if not _TELLING_ID.fullmatch(key_id):
        return None
    return f"{(int.from_bytes(b32decode(key_id[4:])[:6]) & 0x7FFFFFFFFF80) >> 7:012d}"


def _owner(name: str, key_id: str, named: set[str]) -> str | None:
    account = account_in(key_id)
    candidates = [arn for arn in named if len(named) == 1 or account_of(arn) == account]
    if candidates:
        return candidates[0]
    return None if account is None else f"arn:aws:iam::{account}:user/{name}"


def _rows_of(report: str) -> Iterator[tuple[str, dict[str, str]]]:
    """List the credential report's users, and root, with their columns."""
    for columns in csv.DictReader(report.removeprefix("\ufeff").splitlines()):
        arn = bare_arn(columns.get("arn") or "")[0]
        if account_of(arn) is not None:
            yield arn, columns


def _reported(owner: str, columns: dict[str, str]) -> Iterator[KeyRow]:
    for number in ("1", "2"):
        made_at = _instant(columns.get(f"access_key_{number}_last_rotated"))
        is_active = columns.get(f"access_key_{number}_active") == "true"
        if made_at is not None or is_active:  # else there is none
            used_at = _instant(columns.get(f"access_key_{number}_last_used_date"))
            yield KeyRow(owner, f"{NAMELESS}{number}", is_active, made_at, used_at)


def _instant(value: object) -> int | None:
    try:
        return epoch(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
