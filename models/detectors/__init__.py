"""The detectors: one file each, one line each in the registry."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from models.detector import Detector, Rule, Tuning
from models.detectors.behaviour.behaviour_anomaly import BehaviourAnomaly
from models.detectors.behaviour.class_flip import ClassFlip
from models.detectors.behaviour.mixed_role import MixedRole
from models.detectors.behaviour.recon_burst import ReconBurst
from models.detectors.console.console_login_failures import ConsoleLoginFailures
from models.detectors.console.machine_role_console import MachineRoleConsole
from models.detectors.console.unfederated_console_login import UnfederatedConsoleLogin
from models.detectors.grants.admin_granted import AdminGranted
from models.detectors.grants.grant_outside_pipeline import GrantOutsidePipeline
from models.detectors.grants.wildcard_grant import WildcardGrant
from models.detectors.guardrails.identity_provider_changed import IdentityProviderChanged
from models.detectors.guardrails.trail_tampering import TrailTampering
from models.detectors.incidents.attack_chain import AttackChain
from models.detectors.incidents.session_outlives_key import SessionOutlivesKey
from models.detectors.keys.canary_key import CanaryKey
from models.detectors.keys.credential_source_mismatch import CredentialSourceMismatch
from models.detectors.keys.instance_credentials_outside import InstanceCredentialsOutside
from models.detectors.keys.key_dormant_revived import KeyDormantRevived
from models.detectors.keys.key_for_another import KeyForAnother
from models.detectors.keys.key_long_lived import KeyLongLived
from models.detectors.keys.key_made_then_used import KeyMadeThenUsed
from models.detectors.keys.key_new_network import KeyNewNetwork
from models.detectors.keys.key_probe import KeyProbe
from models.detectors.keys.key_quarantined import KeyQuarantined
from models.detectors.keys.key_second_active import KeySecondActive
from models.detectors.keys.key_shared import KeyShared
from models.detectors.keys.key_used_after_disable import KeyUsedAfterDisable
from models.detectors.keys.login_profile_for_another import LoginProfileForAnother
from models.detectors.keys.machine_user_with_key import MachineUserWithKey
from models.detectors.keys.root_key import RootKey
from models.detectors.keys.session_from_long_lived_key import SessionFromLongLivedKey
from models.detectors.use.root_use import RootUse
from models.finding import Severity
from models.settings import Settings, SettingsError, convert, unknown

REGISTRY: Final[tuple[type[Detector[Any]], ...]] = (
    AdminGranted,
    AttackChain,
    BehaviourAnomaly,
    CanaryKey,
    ClassFlip,
    ConsoleLoginFailures,
    CredentialSourceMismatch,
    GrantOutsidePipeline,
    IdentityProviderChanged,
    InstanceCredentialsOutside,
    KeyDormantRevived,
    KeyForAnother,
    KeyLongLived,
    KeyMadeThenUsed,
    KeyNewNetwork,
    KeyProbe,
    KeyQuarantined,
    KeySecondActive,
    KeyShared,
    KeyUsedAfterDisable,
    LoginProfileForAnother,
    MachineRoleConsole,
    MachineUserWithKey,
    MixedRole,
    ReconBurst,
    RootKey,
    RootUse,
    SessionFromLongLivedKey,
    SessionOutlivesKey,
    TrailTampering,
    UnfederatedConsoleLogin,
    WildcardGrant,
)


def build(settings: Settings, file: str = "rolehawk.toml") -> list[Rule[Any]]:
    """Make every detector that the settings leave enabled, tuned as they say.

    Raises SettingsError for a detector, key or value that does not exist.
    """
    known = {detector.name: detector for detector in REGISTRY}
    for name in settings.detectors:
        if name not in known:
            raise unknown(name, list(known), file, "detectors")
    rules = [_rule(detector, settings.detectors.get(name, {}), file) for name, detector in known.items()]
    return [rule for rule in rules if rule.tuning.enabled]


def tuning_of(detector: type[Detector[Any]]) -> dict[str, Any]:
    """List a detector's own settings with their defaults."""
    return {field.encode_name: field.default for field in msgspec.structs.fields(detector)}


def _rule(detector: type[Detector[Any]], table: dict[str, Any], file: str) -> Rule[Any]:
    path = f"detectors.{detector.name}"
    common = {field.encode_name for field in msgspec.structs.fields(Tuning)}
    own = set(tuning_of(detector))
    for key in table:
        if key not in common | own:
            raise unknown(key, sorted(common | own), file, path)
    tuning = convert({key: value for key, value in table.items() if key in common}, Tuning, file, path)
    if tuning.severity is not None:
        try:
            Severity.parse(tuning.severity)
        except ValueError as error:
            raise SettingsError(f"{file}: {path}.severity: {error}") from None
    made = convert({key: value for key, value in table.items() if key in own}, detector, file, path)
    return Rule(made, tuning)
