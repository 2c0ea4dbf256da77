"""Inventories in files, as the AWS CLI writes them; told by content."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from models.behaviour.key_inventory import UnplacedError, is_key_list, is_report, read_keys, report_in
from models.behaviour.keys import KeyRow
from models.entity import bare_arn
from models.grants.inventory import is_inventory
from models.record import text_of

MAX_BYTES = 512 * 1024 * 1024


class InventoryError(ValueError):
    """A file that is no inventory; says which, and why."""


class Answers(Struct):
    """What was known before the trail."""

    details: list[dict[str, Any]] = []  # GetAccountAuthorizationDetails
    keys: list[KeyRow] = []  # ListAccessKeys and the credential report


def load(paths: Sequence[str]) -> Answers:
    """Read inventories from files; raises InventoryError that names the file at fault."""
    details: list[dict[str, Any]] = []
    lists: list[dict[str, Any]] = []
    reports: list[str] = []
    for path in paths:
        value = _load(Path(path))
        if isinstance(value, str):
            reports.append(value)
        else:
            (details if is_inventory(value) else lists).append(value)
    rows = (row for each in details for row in each.get("UserDetailList") or [] if isinstance(row, dict))
    users = {bare_arn(arn)[0] for row in rows if (arn := text_of(row.get("Arn")))}
    try:
        return Answers(details, read_keys(lists, reports, users))
    except csv.Error as error:
        raise InventoryError(f"credential report: {error}") from None
    except UnplacedError as error:
        raise InventoryError(
            f"{error}; give the account's credential report or GetAccountAuthorizationDetails with it"
        ) from None


def _load(path: Path) -> dict[str, Any] | str:
    """Read one file: the credential report as its text, all else as it was decoded."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InventoryError(f"{path}: larger than {MAX_BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise InventoryError(f"{path}: {error.strerror}") from None
    text = data[:200].decode("utf-8-sig", "replace")
    if is_report(text):
        return data.decode("utf-8-sig", "replace")
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InventoryError(f"{path}: no JSON: {error}") from None
    if is_inventory(value) or is_key_list(value):
        found: dict[str, Any] = value
        return found
    if (report := report_in(value)) is not None:
        return report
    raise InventoryError(
        f"{path}: no answer of GetAccountAuthorizationDetails (UserDetailList, RoleDetailList, ...) or ListAccessKeys "
        "(AccessKeyMetadata), and no credential report"
    )
