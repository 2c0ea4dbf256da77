"""Writes grafana/dashboards: `python -m grafana`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards import boards

FOLDER: Final = Path(__file__).parent / "dashboards"


def pages() -> dict[str, str]:
    """Give each dashboard as JSON, by the name of its file."""
    return {
        f"{board.uid}.json": json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True) + "\n" for board in boards()
    }


def main() -> None:
    """Write all dashboards."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in pages().items():
        (FOLDER / name).write_text(page)
        print(f"grafana/dashboards/{name}")


if __name__ == "__main__":
    main()
