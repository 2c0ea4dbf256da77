"""Where findings are told: sinks made of their settings."""

from __future__ import annotations

from models import routes
from models.settings import Settings
from streams.secret import Secret, SecretError, find_secret
from streams.sinks.alertmanager import Alertmanager
from streams.sinks.pagerduty import PagerDuty
from streams.sinks.sink import Sink
from streams.sinks.webhook import Webhook


def make_sinks(settings: Settings) -> dict[str, Sink]:
    """Make every sink of the settings, by its name; raises SecretError where a secret or a certificate is missing."""
    return {name: _make(name, each, settings.alert) for name, each in settings.sinks.items()}


def _make(name: str, settings: routes.SinkSettings, alert: routes.Alert) -> Sink:
    where = f"sinks.{name}"
    try:
        match settings:
            case routes.PagerDuty():
                key = _secret(f"{where}.routing_key", settings.routing_key_env, settings.routing_key_file)
                token = find_secret(f"{where}.api_token", settings.api_token_env, settings.api_token_file)
                return PagerDuty(settings, key, token, alert)
            case routes.Alertmanager():
                token = find_secret(f"{where}.bearer_token", settings.bearer_token_env, settings.bearer_token_file)
                return Alertmanager(settings, token, alert)
            case routes.Webhook():
                secret = _secret(f"{where}.secret", settings.secret_env, settings.secret_file)
                return Webhook(settings, _address(where, settings), secret, alert)
    except OSError as error:  # ssl.SSLError too: a file that holds no certificate
        raise SecretError(f"{where}.ca_file: {settings.ca_file}: {error.strerror or 'no certificates'}") from None


def _secret(where: str, env: str | None, file: str | None) -> Secret:
    found = find_secret(where, env, file)
    if found is None:
        raise SecretError(f"{where}_env or {where}_file is needed")
    return found


def _address(where: str, settings: routes.Webhook) -> Secret:
    """Find a webhook's URL, wherever it stands."""
    if settings.url is not None:
        return Secret(settings.url)
    found = _secret(f"{where}.url", settings.url_env, settings.url_file)
    if not routes.is_safe_url(found.reveal()):
        raise SecretError(f"{where}.url: must be https://..., or http:// to this machine itself")
    return found
