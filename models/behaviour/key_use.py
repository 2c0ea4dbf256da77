"""What an event brings to a long-lived key, before the key has learnt of it, and learning it."""

from __future__ import annotations

from typing import NamedTuple

from models.behaviour.keys import Key, KeyAct, Keys, claim, key_of, nameless
from models.entity import CONSOLE_SESSION
from models.event import Event
from models.facts import Facts
from models.finding import evidence_of
from models.network import Network
from models.settings import Context


class KeyUse(NamedTuple):
    """A key in use, or in somebody's hands: which, as it is known so far, and from where."""

    key_id: str
    key: Key | None  # None where it is not known yet
    network: Network | None
    client: str | None
    is_news: bool


def use_of(event: Event, keys: Keys, context: Context) -> KeyUse:
    """Say what an event that is made with a long-lived key brings to that key of its owner's."""
    key_id = event.session_name
    if key_id == CONSOLE_SESSION and (identity := event.identity) is not None:
        key_id = identity.access_key_id or key_id
    key = keys.get(key_id) or nameless(keys)
    network = client = None
    if event.facts & Facts.DIRECT_CALL:  # else an AWS service calls from its own network, with its own client
        network, client = context.network_of(event), event.client.kind
    name = None if network is None else network.name
    is_news = key is None or key.is_news(event.at, name, client) or key_id in context.canaries
    return KeyUse(key_id, key, network, client, is_news)


def learn_use(event: Event, keys: Keys, use: KeyUse) -> None:
    """Let the key learn that it was used."""
    key = keys.get(use.key_id) or claim(keys, use.key_id)
    _note_first(key, event)
    network = None if use.network is None else use.network.name
    key.learn_use(event.at, event.api.key, network, use.client, event.client.installation)


def done_to(event: Event, keys: Keys, act: KeyAct, context: Context) -> KeyUse:
    """Say which key something is done to, and from where."""
    return KeyUse(act.key_id, keys.get(act.key_id), context.network_of(event), event.client.kind, is_news=False)


def learn_act(event: Event, keys: Keys, act: KeyAct, use: KeyUse) -> None:
    """Let the key learn what was done to it."""
    key = use.key or key_of(keys, act.key_id)
    _note_first(key, event)
    key.learn_act(act, None if use.network is None else use.network.name, use.client)


def _note_first(key: Key, event: Event) -> None:
    """Keep the first event of a key: what time alone makes true of it has no other."""
    if event.at < key.first_event_at:
        key.first_event_at, key.first_event = event.at, evidence_of(event)
