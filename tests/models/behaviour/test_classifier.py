"""Human or machine by behaviour: the shipped model on plain cases, abstention, and models that are refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from models.behaviour.classifier import opinion
from models.behaviour.features import FEATURES
from models.behaviour.habits import Habits
from models.behaviour.learned import MAX_BYTES, ModelError, read_model, shipped_model
from tests.models.behaviour.test_habits import cron, person
from tests.records import record, run, user

HOUR, DAY = 60, 24 * 60


def test_a_script_and_a_person_are_told_apart() -> None:
    """By what they do alone, with what speaks for it."""
    people = shipped_model().people
    machine, human = opinion(people, cron()), opinion(people, person(28))
    assert machine is not None
    assert human is not None
    assert (machine.side, human.side) == ("workload", "human")
    assert machine.probability < 0.2
    assert human.probability > 0.8
    assert all(each.part <= 0 for each in machine.contributors)
    assert all(each.part >= 0 for each in human.contributors)


def test_no_number_decides_alone() -> None:
    """However far off a number lies, it counts for so many spreads and no more."""
    people = shipped_model().people
    habits = cron()
    before = opinion(people, habits)
    habits.places = dict.fromkeys(range(16), 1)
    after = opinion(msgspec.structs.replace(people, scales=[each / 1_000 for each in people.scales]), habits)
    assert before is not None
    assert after is not None
    assert all(
        abs(each.part) <= people.max_spreads * max(map(abs, people.weights)) + 1e-9
        for each in (*before.contributors, *after.contributors)
    )


def test_it_abstains() -> None:
    """Too little behind it: no opinion; not confident: a probability and no side."""
    people = shipped_model().people
    assert opinion(people, Habits()) is None
    unsure = msgspec.structs.replace(people, min_confidence=1.0)
    judged = opinion(unsure, cron())
    assert judged is not None
    assert judged.side is None


def test_principals_say_it_where_nothing_stronger_speaks() -> None:
    """A user's key of which nothing else is known is told by behaviour, tier 4; where AWS says it, it only adds a number."""
    calls = [
        record(name, user("batch"), day * DAY + hour * HOUR + n)
        for day in range(10)
        for hour in range(24)
        for n, name in enumerate(("ListObjects", "PutObject"))
    ]
    (batch,) = run(calls).principals()
    assert (batch.kind, batch.class_, batch.tier) == ("machine", "workload", 4)
    assert batch.probability is not None
    assert batch.probability < 0.2
    told = [each for each in batch.evidence if each.tier == 4]
    assert len(told) == 3
    assert all(each.fact.startswith("behaves like a machine: ") for each in told)
    with_mfa = [{**each, "sessionCredentialFromConsole": "true"} for each in calls]
    (human,) = run(with_mfa).principals()
    assert (human.class_, human.tier) == ("human", 1)
    assert human.probability == batch.probability
    assert not [each for each in human.evidence if each.tier == 4]


def model(**changes: Any) -> bytes:
    """Write the shipped model with changes."""
    return msgspec.json.encode({**msgspec.to_builtins(shipped_model()), **changes})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "truncated"),
        (b"\x80\x04\x95", "malformed"),  # a pickle is no model
        (model(format=9), "format 9, this is for format 2"),
        (model(features=["x"]), "made for other features: "),
        (model(features=[each.name for each in FEATURES][::-1]), "in another order"),
        (model(features_hash="0"), "defined otherwise"),
        (model(more=1), "unknown field `more`"),
        (model(surprise={"tail": 0.1, "starts": [1.0], "scales": [1.0]}), "starts and scales must have 4 numbers"),
        (
            model(people={**msgspec.to_builtins(shipped_model().people), "means": []}),
            "means, scales and weights must have",
        ),
        (
            model(people={**msgspec.to_builtins(shipped_model().people), "scales": [0.0] * len(FEATURES)}),
            "scales and max_spreads must be positive",
        ),
        (b" " * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_model_is_refused(data: bytes, words: str) -> None:
    """Each with the reason."""
    with pytest.raises(ModelError, match=words):
        read_model(data)


def test_the_shipped_model_says_what_it_was_made_of() -> None:
    """Data, features and how good it was on organisations that it never saw; and it is small."""
    shipped = shipped_model()
    assert shipped.data["people"] > 20
    assert shipped.metrics["held_out_roc_auc"] > 0.97
    assert shipped.metrics["held_out_calibration_error"] < 0.05
    assert len(msgspec.json.encode(shipped)) < 20_000
