"""Records without all that decides by itself who somebody is: for measuring what behaviour alone tells.

Users become roles and roles users; names, clients and addresses become tokens that say only whether two are the same;
console flags, federation and second factors go. When, what, from where alike and in which order stays.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from models.entity import identify
from models.record import decode_identity, encode
from streams.sources.simulated.delivery import Arrival, Sink

_GONE: Final = ("sessionCredentialFromConsole", "vpcEndpointId", "sharedEventID", "resources", "tlsDetails")
_ACCOUNT: Final = "111122223333"


def masked(record: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Mask one record; gives it, and the ARN by which its actor would have been known (None: nobody, or a service)."""
    kept = {key: value for key, value in record.items() if key not in _GONE}
    kept["requestParameters"] = kept["responseElements"] = kept["additionalEventData"] = None
    kept["userAgent"] = f"client/{_token(record.get('userAgent'))}"
    kept["eventType"] = "AwsApiCall"
    address = record.get("sourceIPAddress") or ""
    is_service = address.endswith(".amazonaws.com") or address == "AWS Internal"
    kept["sourceIPAddress"] = address if is_service else _address(address)
    identity = decode_identity(encode(record.get("userIdentity")))
    actor = None if identity is None else identify(identity, record.get("sourceIPAddress"))
    if actor is None or actor.type == "service":
        return kept, None
    name = f"e{_token(actor.arn)}"
    kept["userIdentity"] = _as_user(name) if actor.type == "role" else _as_role(name)
    if identity is not None and identity.invoked_by is not None and identity.invoked_by != "signin.amazonaws.com":
        kept["userIdentity"]["invokedBy"] = identity.invoked_by
    return kept, actor.arn


def new_arn(arn: str, *, was_role: bool) -> str:
    """Name an entity as it is called once masked."""
    return f"arn:aws:iam::{_ACCOUNT}:{'user' if was_role else 'role'}/e{_token(arn)}"


class Masking:
    """A sink that masks what it is given, and remembers who became whom."""

    def __init__(self, sink: Sink, decode: Callable[[str], dict[str, Any]]) -> None:
        self._sink = sink
        self._decode = decode
        self.names: dict[str, str] = {}  # new ARN -> the one before

    def take(self, arrival: Arrival) -> None:
        """Mask one record and pass it on."""
        record, arn = masked(self._decode(arrival.text))
        if arn is not None:
            self.names[new_arn(arn, was_role=":role/" in arn)] = arn
        self._sink.take(arrival._replace(text=encode(record).decode()))

    def close(self) -> None:
        """Close what is behind it."""
        self._sink.close()


def _token(text: str | None) -> str:
    return blake2b((text or "").encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _address(address: str) -> str:
    """Put a network for a network, and a host for a host: addresses of one /24 stay together."""
    network, _, host = address.rpartition(".")
    if not network:
        network, host = address[:14], "1"
    digest = blake2b(network.encode("utf-8", "surrogatepass"), digest_size=2).digest()
    return f"100.{64 + digest[0] % 64}.{digest[1]}.{int(host) % 250 + 1 if host.isdecimal() else 1}"


def _as_user(name: str) -> dict[str, Any]:
    return {
        "type": "IAMUser",
        "principalId": f"AIDA{name.upper():A<16.16}",
        "arn": f"arn:aws:iam::{_ACCOUNT}:user/{name}",
        "accountId": _ACCOUNT,
        "userName": name,
        "accessKeyId": f"AKIA{name.upper():A<16.16}",
    }


def _as_role(name: str) -> dict[str, Any]:
    unique_id = f"AROA{name.upper():A<16.16}"
    return {
        "type": "AssumedRole",
        "principalId": f"{unique_id}:session",
        "arn": f"arn:aws:sts::{_ACCOUNT}:assumed-role/{name}/session",
        "accountId": _ACCOUNT,
        "accessKeyId": "ASIAEXAMPLE000000000",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": unique_id,
                "arn": f"arn:aws:iam::{_ACCOUNT}:role/{name}",
                "accountId": _ACCOUNT,
                "userName": name,
            }
        },
    }
