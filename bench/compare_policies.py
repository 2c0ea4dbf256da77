"""What rolehawk finds in policies beside parliament and cloudsplaining: ``make compare-policies`` writes the table.

The documents are those that the others' packages bring with them (cloudsplaining's sample account) and the policies that
AWS manages. The others run in an environment of their own (``build/oracles``), fed with documents as JSON lines; they
are measured against here and needed for nothing else.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
OTHERS: Final = ROOT / "build" / "oracles" / "bin" / "python"
PAGE: Final = ROOT / "docs" / "policies-compared.md"
Json = dict[str, Any]

KINDS: Final = {
    "whole service": "everything, or a whole service, on everything (W1, W2)",
    "permissions": "permissions management on everything (W1 to W3, W5, W6)",
    "writes": "writes on everything (W1 to W3, W5, W6)",
    "escalation": "a way to more rights (`privesc:`, or W1)",
    "complement": "Allow with NotAction (W4)",
    "anything": "anything, lists and plain reads apart",
}


def main() -> None:
    """Compare, and write the page; with ``--others`` be the other side."""
    if sys.argv[1:] == ["--others"]:
        _others()
        return
    sample, version = _sample()
    page = [HEAD.format(versions=version["versions"])]
    for title, documents in (
        ("cloudsplaining's sample account", sample),
        ("The policies that AWS manages", _managed()),
    ):
        theirs = _asked("judge", documents)
        ours = [_ours(each) for each in documents]
        page += [f"\n## {title}: {len(documents):,} documents\n\n", *_table(ours, theirs)]
    PAGE.write_text("".join(page) + TAIL)


def _table(ours: list[list[str]], theirs: list[Json]) -> Iterator[str]:
    yield "| found | rolehawk | cloudsplaining | parliament | cloudsplaining alone | parliament alone | rolehawk alone |\n"
    yield "|---|---|---|---|---|---|---|\n"
    for kind, words in KINDS.items():
        counts: Counter[str] = Counter()
        for mine, other in zip(ours, theirs, strict=True):
            we, cloudsplaining, parliament = (
                kind in each for each in (mine, other["cloudsplaining"], other["parliament"])
            )
            counts["rolehawk"] += we
            counts["cloudsplaining"] += cloudsplaining
            counts["parliament"] += parliament
            counts["cloudsplaining alone"] += cloudsplaining and not we
            counts["parliament alone"] += parliament and not we
            counts["rolehawk alone"] += we and not cloudsplaining and not parliament
        columns = (
            "rolehawk",
            "cloudsplaining",
            "parliament",
            "cloudsplaining alone",
            "parliament alone",
            "rolehawk alone",
        )
        yield f"| {words} | {' | '.join(f'{counts[each]:,}' for each in columns)} |\n"


def _ours(document: Json) -> list[str]:
    from models.grants.allowed import Holding  # noqa: PLC0415 - the other side's environment has no rolehawk
    from models.grants.document import parse  # noqa: PLC0415
    from models.grants.escalation import escalations  # noqa: PLC0415
    from models.grants.wildcards import weaknesses  # noqa: PLC0415

    holding = Holding((parse(document),))
    found = weaknesses(holding)
    rules = {each.rule for each in found}
    levels = {level for each in found if each.rule in ("W1", "W2", "W3", "W5", "W6") for level in each.levels}
    kinds = {
        "whole service": bool(rules & {"W1", "W2"}),
        "permissions": "permissions management" in levels,
        "writes": bool(levels & {"write", "tagging"}),
        "escalation": "W1" in rules or bool(escalations(holding)),
        "complement": "W4" in rules,
        "anything": any(each.severity >= 2 for each in found),  # medium
    }
    return [kind for kind, holds in kinds.items() if holds]


def _managed() -> list[Json]:
    from models.grants.tables import managed_document, managed_table  # noqa: PLC0415 - as above

    return [json.loads(managed_document(arn) or "") for arn in managed_table().policies]


def _sample() -> tuple[list[Json], Json]:
    answers = _asked("sample", [])
    return [each["document"] for each in answers[1:]], answers[0]


def _asked(what: str, documents: list[Json]) -> list[Json]:
    lines = "\n".join(json.dumps(each) for each in [{"what": what}, *documents])
    done = subprocess.run([OTHERS, __file__, "--others"], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _others() -> None:
    """Answer for cloudsplaining and parliament, a line for each document."""
    asked = [json.loads(line) for line in sys.stdin]
    answer = sys.stdout.write
    sys.stdout = sys.stderr  # what the others print is no answer
    if asked[0]["what"] == "sample":
        metadata = importlib.import_module("importlib.metadata")
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("cloudsplaining", "parliament"))
        answer(json.dumps({"versions": versions}) + "\n")
        for document in _packaged():
            answer(json.dumps({"document": document}) + "\n")
        return
    policy_document = importlib.import_module("cloudsplaining.scan.policy_document").PolicyDocument
    parliament = importlib.import_module("parliament").analyze_policy_string
    for document in asked[1:]:
        found = {
            "cloudsplaining": _cloudsplaining(policy_document, document),
            "parliament": _parliament(parliament, document),
        }
        answer(json.dumps(found) + "\n")


def _packaged() -> Iterator[Json]:
    package = Path(str(importlib.import_module("cloudsplaining").__file__)).parent
    text = (package / "output/src/sampleData.js").read_text()
    sample, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    seen: dict[str, Json] = {}

    def walk(value: Any) -> None:  # noqa: ANN401 - JSON
        if isinstance(value, dict):
            if "Statement" in value:
                if "Principal" not in json.dumps(value):
                    seen[json.dumps(value, sort_keys=True)] = value
                return
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                walk(each)

    walk(sample)
    yield from seen.values()


def _cloudsplaining(policy_document: Callable[[Json], Any], document: Json) -> list[str]:
    try:
        found = policy_document(document)
        kinds = {
            "whole service": bool(found.service_wildcard),
            "permissions": bool(found.permissions_management_without_constraints),
            "writes": bool(found.write_actions_without_constraints or found.tagging_actions_without_constraints),
            "escalation": bool(found.allows_privilege_escalation),
            "complement": bool(found.contains_statement_using_not_action),
        }
    except Exception:  # noqa: BLE001 - what it cannot read it does not find
        return []
    kinds["anything"] = any(kinds.values()) or bool(found.infrastructure_modification or found.credentials_exposure)
    return [kind for kind, holds in kinds.items() if holds]


def _parliament(analyze: Callable[..., Any], document: Json) -> list[str]:
    try:
        found = analyze(json.dumps(document), include_community_auditors=True)
        issues = {each.issue for each in found.findings}
    except Exception:  # noqa: BLE001 - as above
        return []
    kinds = {
        "permissions": "PERMISSIONS_MANAGEMENT_ACTIONS" in issues,
        "writes": "RESOURCE_STAR" in issues,
        "escalation": "PRIVILEGE_ESCALATION" in issues,
        "complement": "NOTACTION_WITH_ALLOW" in issues or "NOT_ACTION" in issues,
        "anything": bool(
            issues & {"PERMISSIONS_MANAGEMENT_ACTIONS", "RESOURCE_STAR", "PRIVILEGE_ESCALATION", "CREDENTIALS_EXPOSURE"}
        ),
    }
    return [kind for kind, holds in kinds.items() if holds]


HEAD: Final = """\
# Policies, compared

What [rolehawk's rules](policies.md) find beside those of two linters ({versions}). Counted are documents in
which something of a kind is found; "alone" means that rolehawk does not find it there, and "rolehawk alone" that
neither of the others does. Written by `make compare-policies`.
"""
TAIL: Final = """
## Where rolehawk finds less, and why

- *Conditions and Denies.* What a condition narrows to some resources, or an unconditional Deny takes away, is not held
  against a policy; parliament does not ask for an Allow's conditions.
- *Named resources.* An ARN with a wildcard (`role/app-*`, `arn:aws:logs:*:*:*`) is a named resource here, but for all of
  IAM's users, roles, groups or policies. parliament counts an action whatever its resource.
- *Lists and reads.* parliament's RESOURCE_STAR, counted here as a write, stands for any action on `*`; rolehawk says
  nothing of lists, and low of reads, which the last row leaves out.
- *PassRole.* A way to more rights needs PassRole on all roles, and for the service that the way uses.
- *NotAction.* cloudsplaining counts Denies with NotAction too; those grant nothing.
- *Levels.* parliament has a list of its own of what manages permissions.
"""

if __name__ == "__main__":
    main()
