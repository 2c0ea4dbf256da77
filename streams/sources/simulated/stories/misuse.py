"""Misuse that no rule names: the right credentials, the usual network and client, and yet not what they are for."""

from __future__ import annotations

from typing import Final

from streams.sources.simulated.callers import Caller, Made
from streams.sources.simulated.machines import Workload
from streams.sources.simulated.organisation import DAY, HOUR, MINUTE
from streams.sources.simulated.people import Person
from streams.sources.simulated.shapes import Call
from streams.sources.simulated.stage import Stage
from streams.sources.simulated.stories.keys import LOOKS
from streams.sources.simulated.stories.story import Story

MIN_DAYS: Final = 21  # that an entity's habits take to show
ROUTINE_HOURS: Final = 90  # in which a machine is seen at its own work, over the whole span

_QUIET_LOOT: Final = (
    Call("secretsmanager", "ListSecrets"),
    Call("ssm", "DescribeParameters"),
    Call("dynamodb", "ListTables"),
    Call("rds", "DescribeDBSnapshots"),
    Call("ecr", "DescribeRepositories"),
    Call("lambda", "GetFunction20150331v2", {"functionName": "<name>"}),
    Call("kms", "ListAliases"),
    Call("ec2", "DescribeSnapshots"),
    Call("s3", "GetBucketPolicy", {"bucketName": "example-<name>-<account>"}),
    Call("backup", "ListRecoveryPointsByBackupVault", {"backupVaultName": "default"}),
)


def _routine(stage: Stage, platform: str) -> tuple[Workload, Caller, list[Made]]:
    """Take a workload, and let it do its own work by the clock over the whole span."""
    workload = stage.fleet.take(platform)
    session = workload.new_session()
    every_s = max(HOUR, stage.plan.days * DAY // ROUTINE_HOURS)
    begin_at = stage.plan.start_at + stage.rng.randrange(every_s)
    made: list[Made] = []
    for at in range(begin_at, stage.plan.end_at - HOUR, every_s):
        made += workload.work(stage.rng, at + stage.rng.randrange(MINUTE), session)
    return workload, session, made


def _own(stage: Stage, arn: str, own: list[Made]) -> None:
    stage.finding("behaviour-anomaly", arn, own)
    stage.tolerate("recon-burst", arn, own)


def _colleague(stage: Stage) -> tuple[Person, list[Made]]:
    """Take a person who has worked here all along: one who is new for the story has lived as well."""
    person = stage.person()
    return person, [] if person in stage.staff.people else list(person.days(stage.staff.looks))


def workload_turned(stage: Stage) -> list[Made]:
    """Code slipped into a service asks, from its own machine and slowly, for what the service never asked for."""
    workload, session, made = _routine(stage, "ec2")
    own = stage.paced(stage.moment(0.6), session, stage.rng.sample(_QUIET_LOOT, 6), gap_s=240)
    _own(stage, workload.who.arn, own)
    return made + own


def script_turned(stage: Stage) -> list[Made]:
    """A script was changed where it runs, and reads what is none of its business, with its own key and client."""
    script, made = stage.script(runs=2)
    own = stage.paced(stage.moment(0.6), script.caller, stage.rng.sample(_QUIET_LOOT, 5), gap_s=120)
    _own(stage, script.who.arn, own)
    return made + own


def workload_in_bulk(stage: Stage) -> list[Made]:
    """A service does what it always does, a hundred times as often: everything is being carried away."""
    workload, session, made = _routine(stage, "ecs")
    at = stage.moment(0.6)
    own: list[Made] = []
    for number in range(60):
        own += workload.work(stage.rng, at + number * 50, session)
    _own(stage, workload.who.arn, own)
    return made + own


def insider_at_night(stage: Stage) -> list[Made]:
    """A person comes at night, from where they always come, and goes through what they never looked at."""
    person, made = _colleague(stage)
    at = stage.moment(0.6, night=True)
    came, desk = person.open_terminal(stage.rng, at)
    own = stage.paced(at + MINUTE, desk, stage.rng.sample(_QUIET_LOOT, 8), gap_s=90)
    _own(stage, person.who.arn, own)
    return made + came + own


def insider_by_day(stage: Stage) -> list[Made]:
    """A person, in office hours, looks over services that are not theirs, one after another."""
    person, made = _colleague(stage)
    at = stage.moment(0.6)
    came, desk = person.open_terminal(stage.rng, at)
    own = stage.paced(at + MINUTE, desk, stage.rng.sample(LOOKS, 12), gap_s=120)
    _own(stage, person.who.arn, own)
    return made + came + own


STORIES: Final = (
    Story("workload-turned", workload_turned, ("behaviour-anomaly",), min_days=MIN_DAYS),
    Story("script-turned", script_turned, ("behaviour-anomaly",), min_days=MIN_DAYS),
    Story("workload-in-bulk", workload_in_bulk, ("behaviour-anomaly",), min_days=MIN_DAYS),
    Story("insider-at-night", insider_at_night, ("behaviour-anomaly",), min_days=MIN_DAYS),
    Story("insider-by-day", insider_by_day, ("behaviour-anomaly",), min_days=MIN_DAYS),
)
