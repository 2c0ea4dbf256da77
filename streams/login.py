"""How the clients of a worker log in: aiokafka's own, and Faust's."""

from __future__ import annotations

from typing import Any

import faust
from faust.types.auth import SASLMechanism

from streams.kafka import Cluster


def client_options(cluster: Cluster) -> dict[str, Any]:
    """Say how aiokafka's clients connect."""
    credentials = cluster.credentials
    login = {
        "sasl_mechanism": credentials.mechanism,
        "sasl_plain_username": credentials.username,
        "sasl_plain_password": credentials.password.reveal() if credentials.password else None,
    }
    return {
        "bootstrap_servers": list(cluster.bootstrap),
        "client_id": "rolehawk",
        "security_protocol": credentials.security_protocol,
        "ssl_context": credentials.tls,
        **(login if credentials.mechanism else {}),
    }


def faust_credentials(cluster: Cluster) -> Any:  # noqa: ANN401 - None, or one of two types
    """Say how Faust's clients log in."""
    credentials = cluster.credentials
    if credentials.mechanism is not None:
        return faust.SASLCredentials(
            username=credentials.username,
            password=credentials.password.reveal() if credentials.password else None,
            mechanism=SASLMechanism(credentials.mechanism),
            ssl_context=credentials.tls,
        )
    return None if credentials.tls is None else faust.SSLCredentials(context=credentials.tls)
