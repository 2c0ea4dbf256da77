"""An entity's events noted as habits: which hours are odd, what shows it, and when what was odd is learned after all."""

from __future__ import annotations

from typing import Final

from models.behaviour.habits import DAY_S, OTHERS, Habits, Hour, token
from models.behaviour.profile import Profile, Session
from models.behaviour.surprise import Calibration, is_known_enough, surprise
from models.event import Event
from models.facts import Facts
from models.finding import evidence_of, who
from models.network import Network

AGED_DAYS: Final = 14  # after which what was kept apart is learned: by then somebody has looked at it, or will not
APART_P: Final = 1e-3  # of an hour as odd as this, or odder
OWN_CALL: Final = int(Facts.DIRECT_CALL)  # what a service or an agent does for it is none of its habits
MIN_ERRORS: Final = 3  # in an hour, below which they are nothing

_LOCAL: Final = frozenset({"public", "private", "endpoint"})


def note(event: Event, profile: Profile, session: Session, network: Network | None) -> bool:
    """Note a call that an entity made itself; says whether the hour under way has just turned odd.

    An hour that is over must have been closed before (`close`).
    """
    habits = profile.habits
    if habits is None:
        habits = profile.habits = Habits()
    hour = habits.hour
    is_new = habits.note(
        event.at,
        event.api.key,
        event.api.name,
        network.name if network is not None and network.kind in _LOCAL else OTHERS,
        token(event.client.kind),
        event.call.aws_region or OTHERS,
        is_error=event.is_failed,
    )
    if hour is not habits.hour:
        hour = habits.hour
        if hour is not None:
            hour.limit = _limit(habits)
    if hour is None or not (is_new or hour.events == hour.limit or hour.errors == MIN_ERRORS):
        return False
    if not is_known_enough(habits) or not _is_odd(event, habits, hour):
        return False
    hour.exhibits.add([evidence_of(event)], 1)
    was_odd, hour.is_odd = hour.is_odd, True
    if not was_odd:
        hour.who, hour.session_id = who(event, session.facts), session.id
    return not was_odd


def close(habits: Habits, hour: Hour, calibration: Calibration, *, is_accepted: bool) -> None:
    """Let an hour that is over join the habits, unless it is too strange and nobody said that it may be."""
    habits.hour = None
    habits.learn_aged(hour.ends_at - AGED_DAYS * DAY_S)
    if hour.is_odd and not is_accepted and calibration.p_value(surprise(habits, hour).nats, habits) <= APART_P:
        habits.keep_apart(hour)
        return
    habits.learn(hour)


def _is_odd(event: Event, habits: Habits, hour: Hour) -> bool:
    return (
        event.api.key not in habits.apis
        or hour.events == hour.limit
        or hour.errors == MIN_ERRORS
        or habits.last_place not in (*habits.places, OTHERS)
        or habits.last_client not in habits.clients
        or (event.call.aws_region or OTHERS) not in habits.regions
    )


def _limit(habits: Habits) -> int:
    """Say how many calls in an hour are more than an entity is used to: one and a half spreads over its mean."""
    mean, spread = habits.usual_volume()
    return int(2 ** (mean + 1.5 * spread)) + 1
