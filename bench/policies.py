"""What judging and comparing policies costs: ``python -m bench.policies``.

A typical document (three statements, as in the README of any service) and the worst one that fits a managed policy's
6,144 characters, all of it wildcards. Tables are unpacked first: they are paid for once, and shown apart. Answers are
kept between calls, as they are in a stream; so each call here gets patterns that no call has seen before.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, Final

from models.grants.allowed import Holding
from models.grants.difference import difference
from models.grants.document import parse
from models.grants.escalation import escalations
from models.grants.tables import action_table, managed_document, managed_table
from models.grants.wildcards import weaknesses

ROUNDS: Final = 30
CHARACTERS: Final = 6_144

_number = count()


def main() -> None:
    """Print the table."""
    started = time.perf_counter()
    action_table()
    managed_table()
    print(f"{'tables unpacked':48}{(time.perf_counter() - started) * 1000:8.2f} ms")
    _judge(json.dumps(_policy("*")))  # and each service decoded
    for name, make in (("typical document", typical), *worst().items()):
        _show(f"judged: {name}", _judge, _texts(make))
    for name in ("ReadOnlyAccess", "AdministratorAccess", "PowerUserAccess"):
        text = managed_document(f"arn:aws:iam::aws:policy/{name}") or ""
        _show(f"judged: {name}, seen before", _judge, [text] * ROUNDS)
    _show("compared: a typical edit", _compare, _texts(typical))
    for name, make in worst().items():
        _show(f"compared: {name}", _compare, _texts(make))


def typical() -> dict[str, Any]:
    """Make an application's policy: its bucket, its table, its logs."""
    name = f"app{next(_number)}"
    return _policy(
        ["s3:GetObject", "s3:PutObject", f"s3:Get{name}*"],
        f"arn:aws:s3:::{name}/*",
        {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["dynamodb:*Item", "dynamodb:Query"],
            "Resource": f"arn:aws:dynamodb:*:*:table/{name}",
            "Condition": {"StringEquals": {"aws:ResourceTag/app": name}},
        },
    )


def worst() -> dict[str, Callable[[], dict[str, Any]]]:
    """Name ways to fill a policy with wildcards."""
    return {
        "6 KB of wildcards over all services": lambda: _full(lambda n: f"*:*{_letters(n)}*"),
        "6 KB of wildcards in one service": lambda: _full(lambda n: f"ec2:*{_letters(n)}*"),
        "6 KB of question marks": lambda: _full(lambda n: f"*:?{_letters(n)}?*"),
        "6 KB without a colon": lambda: _full(lambda n: f"*{_letters(n)}*e"),
        "6 KB in patterns of a hundred wildcards": lambda: _full(lambda n: f"*:*{_letters(n)}" + "*e" * 100),
    }


def _letters(number: int) -> str:
    return "".join("etaoinsrhldcu"[number // 13**place % 13] for place in range(3))


def _full(pattern: Callable[[int], str]) -> dict[str, Any]:
    actions: list[str] = []
    size = len(json.dumps(_policy([])))
    while size < CHARACTERS:
        actions.append(pattern(next(_number)))
        size += len(actions[-1]) + 3
    return _policy(actions[:-1])


def _policy(action: Any, resource: str = "*", *more: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}, *more],
    }


def _texts(make: Callable[[], dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(make()) for _ in range(ROUNDS))


def _judge(text: str) -> None:
    holding = Holding((parse(text),))
    weaknesses(holding)
    escalations(holding)


def _compare(text: str) -> None:
    changed = json.loads(text)
    changed["Statement"].append({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"})
    difference(Holding((parse(text),)), Holding((parse(changed),)))


def _show(name: str, call: Callable[[str], None], texts: Iterable[str]) -> None:
    taken = []
    for text in texts:
        started = time.perf_counter()
        call(text)
        taken.append((time.perf_counter() - started) * 1000)
    print(f"{name:48}{statistics.median(taken):8.2f} ms median {max(taken):8.2f} ms worst")


if __name__ == "__main__":
    main()
