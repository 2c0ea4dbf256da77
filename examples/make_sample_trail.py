"""Writes examples/sample-trail: a fortnight of a simulated organisation, quiet for the most part, and what is in it.

    python -m examples.make_sample_trail [OUT_DIR]

Everything follows from one seed: the same records in the same files, whenever and wherever it runs.
"""

from __future__ import annotations

import gzip
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from models.finding import Finding
from models.settings import parse_settings
from streams.replay import replay
from streams.simulate import SETTINGS_FILE, Request, run

SEED: Final = 11
EVENTS: Final = 2_000
LOGS: Final = "AWSLogs"
# What goes wrong, and what only looks so: a few findings of different kinds beside ordinary life.
STORIES: Final = (
    "console-switch-role", "root-use", "password-guessed", "attack-chain",
    "sso-role-in-console", "presigned-url", "console-in-the-name", "on-roots-behalf", "forgotten-password",
)  # fmt: skip

HEAD: Final = """# A fortnight of a small organisation

Made up, by `python -m examples.make_sample_trail`: three accounts, 2 to 15 March 2026. All times are UTC. `rolehawk.toml`
is what the organisation says of itself.

**Ordinary life.** Instances, functions, containers, pods, pipelines that deploy, scripts under users' keys, and AWS's own
services, day and night; people who come in through Identity Center on workdays, and a few who still sign in as IAM users.
Somebody joins, somebody leaves, a key is rotated. A few records come late, a few twice.

**What should stay quiet.** Roles of Identity Center in the console; root on whose behalf a service calls; an SDK whose name
merely contains "console"; a browser with a presigned URL; a password that was forgotten and remembered at the third try.

**What should be found**, as `make run` shows it:

| when | severity | what | who | detector |
|---|---|---|---|---|
"""


def make(seed: int = SEED) -> dict[str, bytes]:
    """Make all files: path below the folder, content."""
    with TemporaryDirectory(prefix="rolehawk-sample-") as temporary:
        folder = Path(temporary, "made")
        request = Request(
            output=folder, seed=seed, events=EVENTS, days=14, accounts=3, incidents=",".join(STORIES), quiet=True
        )
        run(request, StringIO(), StringIO())
        settings = (folder / SETTINGS_FILE).read_bytes()
        found = replay([str(folder / LOGS)], parse_settings(settings.decode())).findings
        files = {
            path.relative_to(folder).as_posix(): gzip.compress(gzip.decompress(path.read_bytes()), 9, mtime=0)
            for path in sorted((folder / LOGS).rglob("*.json.gz"))
        }
    return {**files, SETTINGS_FILE: settings, "README.md": (HEAD + "".join(map(_row, found))).encode()}


def _row(finding: Finding) -> str:
    who = (finding.actor.origin or finding.actor.arn or "nobody known").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    when = finding.opened_at[:16].replace("T", " ")
    return f"| {when} | {finding.severity} | {finding.title} | {who} | `{finding.detector}` |\n"


def main() -> None:
    """Write the files below the folder named, in the place of those that are there."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sample-trail"
    made = make()
    for old in out.rglob("*.json.gz"):
        if old.relative_to(out).as_posix() not in made:
            old.unlink()
    for path, content in made.items():
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    print(f"{len(made)} files, {sum(map(len, made.values())):,} bytes in {out}")


if __name__ == "__main__":
    main()
