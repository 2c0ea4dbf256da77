"""Inventories in files, as the AWS CLI writes them; told by content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from models.grants.inventory import is_inventory

MAX_BYTES = 512 * 1024 * 1024


class InventoryError(ValueError):
    """A file that is no inventory; says which, and why."""


def load(paths: Sequence[str]) -> list[dict[str, Any]]:
    """Read GetAccountAuthorizationDetails from files; raises InventoryError that names the file at fault."""
    return [_load(Path(path)) for path in paths]


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InventoryError(f"{path}: larger than {MAX_BYTES:,} bytes")
        value = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise InventoryError(f"{path}: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        if isinstance(error, InventoryError):
            raise
        raise InventoryError(f"{path}: no JSON: {error}") from None
    if not is_inventory(value):
        raise InventoryError(
            f"{path}: no answer of GetAccountAuthorizationDetails (UserDetailList, RoleDetailList, ...)"
        )
    found: dict[str, Any] = value
    return found
