"""train and evaluate: from trails to a model that scores without scikit-learn, held against a truth, masked or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.behaviour.learned import Learned, read_model
from streams.learning.dataset import BLANK, Sample, label, make, plan_of, run, simulated
from streams.learning.evaluation import evaluate, people_of, read_truth
from streams.learning.masking import masked
from streams.learning.measures import calibration_error
from streams.learning.training import TooLittleError, encoded, tails, train
from streams.simulate import write_truth
from tests.records import CHROME, instance_call, record, role, user

DAYS = 16


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Take what five small organisations teach."""
    return list(simulated([31, 32, 33, 34, 37], 6_000, DAYS))


@pytest.fixture(scope="module")
def learned(samples: list[Sample]) -> Learned:
    """Train on them."""
    return train(samples)


def test_training_is_repeatable_and_says_what_it_saw(samples: list[Sample], learned: Learned) -> None:
    """The same organisations give the same bytes; eras, people and hours are told; read again it is the same model."""
    assert encoded(train(samples)) == encoded(learned)
    assert read_model(encoded(learned).encode()) == learned
    assert learned.data["eras"] == ["both", "new", "old"]
    taught = ("people", "machines", "in_other_manners")
    assert sum(learned.data[each] for each in taught) == sum(len(each.examples) for each in samples)
    assert learned.metrics["held_out_roc_auc"] > 0.97


def test_too_little_is_said() -> None:
    """Organisations, people, hours: what is missing is named."""
    with pytest.raises(TooLittleError, match="0 organisations"):
        train([])
    with pytest.raises(TooLittleError, match="hours of entities"):
        tails([[0.0] * 10, [], [], []])


def test_tails() -> None:
    """An exponential tail is found again; an age with too few hours takes that of the one before."""
    rng = np.random.default_rng(1)
    found = tails([list(rng.exponential(2.0, 20_000)), [], [], []])
    assert found.scales[0] == pytest.approx(2.0, rel=0.2)
    assert found.starts == [found.starts[0]] * 4


def test_labels_come_from_what_aws_and_the_configuration_say() -> None:
    """A role's instance is a machine, a console session a person; by the client's word alone nobody is either."""
    engine = run([])
    assert engine.principals() == []
    from tests.records import run as run_records  # noqa: PLC0415 - the same word for another thing

    profiles = run_records([
        instance_call(0),
        record("ListUsers", user("anna"), 1, sessionCredentialFromConsole="true"),
        record("ListUsers", user("script"), 2, userAgent="Boto3/1.34 exec-env/AWS_Lambda_python3.12"),
    ]).behaviour.profiles  # fmt: skip
    labels = {arn.rpartition("/")[2]: label(each) for arn, each in profiles.items()}
    assert labels == {"web": False, "anna": True, "script": None}


def test_calibration_error() -> None:
    """Nothing where what is said comes true; half where it never does."""
    labels = np.array([1.0, 0.0] * 50)
    assert calibration_error(np.full(100, 0.5), labels) == pytest.approx(0.0)
    assert calibration_error(np.full(100, 0.99), np.zeros(100)) == pytest.approx(0.99)
    assert calibration_error(np.array([]), np.array([])) == 0


def test_masking_leaves_nothing_that_decides() -> None:
    """Users become roles and roles users; client, console flag, names and parameters are gone; service calls stay so."""
    of_role, arn = masked(
        record("ListUsers", role("Admin", "anna@example.com"), userAgent=CHROME, sessionCredentialFromConsole="true")
    )
    assert arn == "arn:aws:iam::111122223333:role/Admin"
    assert of_role["userIdentity"]["type"] == "IAMUser"
    assert "anna" not in str(of_role)
    assert "Admin" not in str(of_role)
    assert "Mozilla" not in str(of_role)
    assert "sessionCredentialFromConsole" not in of_role
    of_user, _ = masked(record("ListUsers", {**user("anna"), "invokedBy": "config.amazonaws.com"}))
    assert of_user["userIdentity"]["type"] == "AssumedRole"
    assert of_user["userIdentity"]["invokedBy"] == "config.amazonaws.com"
    assert masked(record("AssumeRole", {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}))[1] is None


def test_a_model_is_held_against_the_truth(learned: Learned, tmp_path: Path) -> None:
    """An organisation that it never saw: nearly all people and machines are told apart."""
    world = make(tmp_path, plan_of(35, 6_000, DAYS))
    write_truth(tmp_path, world)
    result = evaluate("one", [str(tmp_path / "AWSLogs")], read_truth(tmp_path), learned)
    people = people_of([result])
    assert people.judged > 20
    assert people.auc > 0.97
    assert people.auc_times_alone != people.auc  # of one organisation there is nothing to fit another on: not a number


def test_an_odd_truth_is_named(tmp_path: Path) -> None:
    """File and line."""
    (tmp_path / "truth.jsonl").write_text('{"kind": "principal"}\n{')
    with pytest.raises(ValueError, match=r"truth\.jsonl, line 2"):
        read_truth(tmp_path)


def rolehawk(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "streams.cli", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_commands(learned: Learned, tmp_path: Path) -> None:
    """Evaluate writes a card; compare tells two models apart, and the same from the same; bad input is one line."""
    world = make(tmp_path / "one", plan_of(36, 4_000, DAYS))
    write_truth(tmp_path / "one", world)
    (tmp_path / "new.json").write_text(encoded(learned))
    (tmp_path / "blank.json").write_bytes(msgspec.json.encode(BLANK))
    card = tmp_path / "card.md"
    done = rolehawk("evaluate", tmp_path / "one", "--model", tmp_path / "new.json", "--card", card)
    assert done.returncode == 0, done.stderr
    assert "ROC-AUC" in done.stdout
    assert "## Limits" in card.read_text()
    same = rolehawk("evaluate", tmp_path / "one", "--compare", tmp_path / "new.json", tmp_path / "new.json")
    assert same.stdout == "no difference\n"
    other = rolehawk("evaluate", tmp_path / "one", "--compare", tmp_path / "blank.json", tmp_path / "new.json")
    assert "-> machine, workload" in other.stdout
    for arguments, words in (
        (["evaluate"], "give a DIR, or --simulate N"),
        (
            ["evaluate", tmp_path / "one", "--model", tmp_path / "one" / "truth.jsonl"],
            "truth.jsonl: Object contains unknown field",
        ),
        (["train", "-o", tmp_path / "x.json", "--simulate", "0"], "too little to learn from"),
    ):
        bad: Any = rolehawk(*arguments)
        assert bad.returncode == 2
        assert words in bad.stderr
        assert len(bad.stderr.splitlines()) == 1


def test_scoring_needs_no_scikit_learn() -> None:
    """Replay judges behaviour without it ever being imported."""
    code = (
        "import sys; from streams.cli import run; run(sys.argv[1:]); print('sklearn' in sys.modules, file=sys.stderr)"
    )
    sample = Path(__file__).parents[3] / "examples" / "sample-trail" / "AWSLogs"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code, "principals", "-q", str(sample)], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == "False"
    assert '"probability":' in done.stdout
