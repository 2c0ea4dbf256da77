"""The model in force: the one that ships, or the file that the settings name."""

from __future__ import annotations

from pathlib import Path

from models.behaviour.learned import MAX_BYTES, Learned, ModelError, read_model, shipped_model
from models.settings import Settings, SettingsError


def model_of(settings: Settings) -> Learned:
    """Read the model; raises SettingsError that names setting and file."""
    if (name := settings.learned.model) is None:
        return shipped_model()
    try:
        return load(Path(name))
    except ModelError as error:
        raise SettingsError(f"learned.model: {error}") from None
    except OSError as error:
        raise SettingsError(f"learned.model: {name}: {error.strerror}") from None


def load(path: Path) -> Learned:
    """Read a model from a file; raises ModelError that names the file, and OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        return read_model(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
