"""The tables that ship with rolehawk: AWS's actions, and the documents of the policies that AWS manages.

Made by `make tables` (tables/refresh.py); nothing is unpacked until a policy is seen. The only place in models/ that
reads anything: its own package's data, which is part of the code. A service's actions and a managed policy's document
are decoded when they are asked for.
"""

from __future__ import annotations

import lzma
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct


class ServiceRow(Struct, frozen=True):
    """One service as the table has it: ARNs of resource types with their condition keys' numbers, keys, actions."""

    types: list[list[str | int]]
    keys: list[str]
    actions: dict[str, str]


class ActionTable(Struct, frozen=True):
    """All services' actions, each service still packed; `source` and `date` say where they are from, and of when."""

    source: str
    date: str
    services: dict[str, msgspec.Raw]


class ManagedTable(Struct, frozen=True):
    """The policies that AWS manages, by ARN (partition aws), each document still packed."""

    source: str
    date: str
    policies: dict[str, msgspec.Raw]


@cache
def action_table() -> ActionTable:
    """Unpack the table of actions."""
    return msgspec.json.decode(_unpacked("actions"), type=ActionTable)


@cache
def managed_table() -> ManagedTable:
    """Unpack the table of managed policies."""
    return msgspec.json.decode(_unpacked("managed"), type=ManagedTable)


def managed_document(arn: str) -> str | None:
    """Give the document of a policy that AWS manages, in any partition; None for one that the table does not have."""
    found = managed_table().policies.get("arn:aws:iam::aws:policy" + arn.partition(":iam::aws:policy")[2])
    return None if found is None else bytes(found).decode()


def _unpacked(name: str) -> bytes:
    return lzma.decompress(files("models.grants").joinpath("data", f"{name}.json.xz").read_bytes())
