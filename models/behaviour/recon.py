"""What an entity looks for: calls that it is denied, lists that it never asked for before. Bounded, plain data.

Both are measured against the entity's own past: a scanner that lists everything each day knows all lists after its
first day, and a broken job that is denied each hour has been denied as much before. Not counted are AWS services, calls
that they make for somebody, pages of the console (each asks for dozens of things at once, with or without leave) and
data events (a job without its key is denied each object). ATT&CK T1580, T1526, T1087.004.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import Struct

from models.event import SLOTS, Event, api_key, number_of
from models.facts import Facts

WINDOW_S: Final = 600
DAY_S: Final = 86_400
MAX_ITEMS: Final = 48  # calls denied, and lists asked for anew, in the window; the oldest go first

ASSUME_ROLE: Final = api_key("sts.amazonaws.com", "AssumeRole")
READ_ALL: Final = api_key("iam.amazonaws.com", "GetAccountAuthorizationDetails")

ASKING: Final = int(Facts.DENIED | Facts.LISTING)
_NOT_ITS_OWN: Final = int(
    Facts.AWS_SERVICE
    | Facts.SERVICE_LINKED_ROLE
    | Facts.CONSOLE_FLAG
    | Facts.CONSOLE_ACTION
    | Facts.CONSOLE_CLIENT
    | Facts.INVOKED_BY_SIGNIN
    | Facts.BROWSER
)
_BY_HAND: Final = int(Facts.CLI | Facts.CLOUDSHELL)  # a shell in a console session is no page of it
# Items are kept as numbers: a call's slot, and beside it the resource's or the service's.
_RESOURCES: Final = 1 << 16
_SERVICES: Final = 1 << 6
MAX_RESOURCE: Final = 4_096  # characters of a refused call's parameters that tell it from others


class Counts(NamedTuple):
    """What stands in one window."""

    calls: int = 0  # different ones
    others: int = 0  # of denials: the resources that one call was denied for; of lists: their services


class Recon(Struct, omit_defaults=True):
    """What one entity looked for lately, and how much it looked before."""

    known: bytearray  # a sketch of the lists that it asked for so far: SLOTS bits
    denied: dict[int, int] = {}  # call and resource -> when last denied; at most MAX_ITEMS
    listed: dict[int, int] = {}  # list and service asked for the first time -> when; at most MAX_ITEMS
    day: int = 0  # the latest day on which anything was denied
    most: Counts = Counts()  # on that day, in one window
    past: Counts = Counts()  # on any day before
    has_read_all: bool = False  # it asked for all of IAM before

    def knows(self, slot: int) -> bool:
        """Say whether a list was asked for before."""
        return self.known[slot >> 3] >> (slot & 7) & 1 == 1

    def counts(self, event: Event) -> Counts:
        """Count what was denied in the window around a denial, itself included."""
        own = _denied_item(event)
        calls: dict[int, int] = {}
        for item in {own, *_near(self.denied, event.at)}:
            calls[item // _RESOURCES] = calls.get(item // _RESOURCES, 0) + 1
        return Counts(len(calls), calls[own // _RESOURCES])

    def past_at(self, at: int) -> Counts:
        """Give the most that was denied in one window on the days before."""
        return self.past if at // DAY_S <= self.day else _higher(self.past, self.most)

    def listed_with(self, event: Event) -> Counts:
        """Count the lists, and their services, asked for the first time in the window around an event."""
        found = set(_near(self.listed, event.at))
        if event.facts & Facts.LISTING and not self.knows(event.api.slot):
            found.add(_listed_item(event))
        return Counts(len(found), len({item % _SERVICES for item in found}))

    def learn(self, event: Event) -> None:
        """Take one question in."""
        if event.facts & Facts.LISTING and not self.knows(event.api.slot):
            self.known[event.api.slot >> 3] |= 1 << (event.api.slot & 7)
            _note(self.listed, _listed_item(event), event.at)
        if event.api.key == READ_ALL:
            self.has_read_all = True
        if event.facts & Facts.DENIED:
            day, counts = event.at // DAY_S, self.counts(event)
            if day > self.day:
                self.past, self.most, self.day = self.past_at(event.at), Counts(), day
            if day == self.day:
                self.most = _higher(self.most, counts)
            _note(self.denied, _denied_item(event), event.at)


def is_news(recon: Recon | None, event: Event) -> bool:
    """Say whether a call that was denied, or asks for a list, counts as looking around."""
    facts = event.facts
    if not facts & Facts.DIRECT_CALL or (facts & _NOT_ITS_OWN and not facts & _BY_HAND):
        return False
    if facts & Facts.DENIED:
        return event.record.event_category != "Data" and event.client.family != "service"
    return recon is None or not recon.knows(event.api.slot) or (event.api.key == READ_ALL and not recon.has_read_all)


def new_recon() -> Recon:
    """Begin with nothing known."""
    return Recon(bytearray(SLOTS >> 3))


def denied_resource(event: Event) -> str | None:
    """Tell what a refused call was about: by its parameters, where AWS kept them, else as its message says.

    Tokens are left out of the parameters: a client that tries again makes new ones.
    """
    told = {key: value for key, value in event.request().items() if not key.lower().endswith("token")}
    if told:
        return repr(sorted(told.items()))[:MAX_RESOURCE]
    return event.refused


def _denied_item(event: Event) -> int:
    resource = denied_resource(event)
    return event.api.slot * _RESOURCES + (0 if resource is None else 1 + number_of(resource, _RESOURCES - 1))


def _listed_item(event: Event) -> int:
    return event.api.slot * _SERVICES + number_of(event.api.source, _SERVICES)


def _near(items: dict[int, int], at: int) -> list[int]:
    return [item for item, when in items.items() if at - WINDOW_S < when < at + WINDOW_S]


def _higher(one: Counts, other: Counts) -> Counts:
    return Counts(max(one.calls, other.calls), max(one.others, other.others))


def _note(items: dict[int, int], item: int, at: int) -> None:
    for old in [each for each, when in items.items() if when <= at - WINDOW_S]:
        del items[old]
    items[item] = max(at, items.get(item, at))
    if len(items) > MAX_ITEMS:
        del items[min(items, key=lambda each: (items[each], each))]
