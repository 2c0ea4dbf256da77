"""The way in from the console: Ctrl-C ends it quietly while the commands are still being loaded, too."""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line, and run it."""
    try:
        from streams.cli import main as run  # noqa: PLC0415 - may be interrupted

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
