"""Secrets: from the environment or a file, never from the settings, never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MAX_SECRET_BYTES: Final = 65_536


class SecretError(ValueError):
    """A secret that is not there; says which setting names it, and never what it holds."""


class Secret:
    """A value that shows itself only where it is asked for by `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the value, to be sent."""
        return self._value

    def __repr__(self) -> str:
        return "***"


def find_secret(where: str, env: str | None, file: str | None) -> Secret | None:
    """Read a secret from the environment variable or the file that the settings name; None where they name neither.

    A file's last line end is no part of it. Raises SecretError, which begins with ``where``.
    """
    if env is not None and file is not None:
        raise SecretError(f"{where}_env and {where}_file are both given")
    if env is not None:
        value = os.environ.get(env, "")
        if not value:
            raise SecretError(f"{where}_env: there is no environment variable {env!r}, or it is empty")
        return _checked(value, f"{where}_env")
    if file is None:
        return None
    try:
        with Path(file).open("rb") as opened:
            value = opened.read(MAX_SECRET_BYTES).decode().rstrip("\r\n")
    except OSError as error:
        raise SecretError(f"{where}_file: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretError(f"{where}_file: {file}: not UTF-8") from None
    if not value:
        raise SecretError(f"{where}_file: {file}: is empty")
    return _checked(value, f"{where}_file")


def _checked(value: str, where: str) -> Secret:
    """Refuse what cannot stand in a header or a URL: a control character, usually a second line."""
    if not value.isprintable():
        raise SecretError(f"{where}: has a line end or another control character in it")
    return Secret(value)
