"""An entity's events noted as habits: which hours are odd, what shows it, and when what was odd is learned after all."""

from __future__ import annotations

from typing import Final

from models.behaviour.habits import DAY_S, OTHERS, Habits, Hour, Noted, token
from models.behaviour.profile import Profile, Session
from models.behaviour.surprise import Calibration, is_known_enough, surprise
from models.event import Event
from models.facts import Facts
from models.finding import Exhibits, evidence_of, who
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
    call = noted(event, network)
    is_new = habits.note(*call)
    hour = habits.hour
    if hour is None or not (is_new or hour.events == hour.limit or hour.errors == MIN_ERRORS):
        return False
    if not is_known_enough(habits) or not _is_odd(habits, hour, call):
        return False
    if hour.exhibits is not None:
        hour.exhibits.add([evidence_of(event)], 1)
        return False
    hour.exhibits = Exhibits(1, [evidence_of(event)])
    hour.who, hour.session_id = who(event, session.facts), session.id
    return True


def close(habits: Habits, hour: Hour, calibration: Calibration, *, is_accepted: bool) -> None:
    """Let an hour that is over join the habits, unless it is too strange and nobody said that it may be."""
    habits.hour = None
    habits.learn_aged(hour.ends_at - AGED_DAYS * DAY_S)
    if hour.is_odd and not is_accepted and calibration.p_value(surprise(habits, hour).nats, habits) <= APART_P:
        habits.keep_apart(hour)
        return
    habits.learn(hour)


def noted(event: Event, network: Network | None) -> Noted:
    """Say what habits take of an event."""
    api, call = event.api, event.call
    return (
        event.at,
        api.key,
        api.slot,
        network.name if network is not None and network.kind in _LOCAL else OTHERS,
        token(event.client.kind),
        call.aws_region or OTHERS,
        event.is_failed,
    )


def _is_odd(habits: Habits, hour: Hour, call: Noted) -> bool:
    _, api, _, place, client, region, _ = call
    return (
        hour.events == hour.limit
        or hour.errors == MIN_ERRORS
        or token(api) not in habits.apis
        or (place != OTHERS and token(place) not in habits.places)
        or client not in habits.clients
        or token(region) not in habits.regions
    )
