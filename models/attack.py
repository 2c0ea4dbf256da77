"""MITRE ATT&CK: what the techniques that detectors cite are called, and which tactic each serves first.

Source: MITRE ATT&CK Enterprise, the cloud matrix (IaaS, identity provider) with what credentials are stolen by.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Named(Struct, frozen=True):
    """A tactic or technique: its id, and its name, which is the id again where it is not known here."""

    id: str
    name: str


TACTICS: Final = {
    "initial access": "TA0001",
    "execution": "TA0002",
    "persistence": "TA0003",
    "privilege escalation": "TA0004",
    "defense evasion": "TA0005",
    "credential access": "TA0006",
    "discovery": "TA0007",
    "lateral movement": "TA0008",
    "collection": "TA0009",
    "exfiltration": "TA0010",
    "command and control": "TA0011",
    "impact": "TA0040",
}
# id -> name, tactic. A subtechnique has the name of its own; that of its technique stands under the technique's id.
TECHNIQUES: Final = {
    "T1021": ("Remote Services", "lateral movement"),
    "T1021.007": ("Cloud Services", "lateral movement"),
    "T1059": ("Command and Scripting Interpreter", "execution"),
    "T1059.009": ("Cloud API", "execution"),
    "T1069": ("Permission Groups Discovery", "discovery"),
    "T1069.003": ("Cloud Groups", "discovery"),
    "T1078": ("Valid Accounts", "initial access"),
    "T1078.001": ("Default Accounts", "initial access"),
    "T1078.004": ("Cloud Accounts", "initial access"),
    "T1087": ("Account Discovery", "discovery"),
    "T1087.004": ("Cloud Account", "discovery"),
    "T1090": ("Proxy", "command and control"),
    "T1090.003": ("Multi-hop Proxy", "command and control"),
    "T1098": ("Account Manipulation", "persistence"),
    "T1098.001": ("Additional Cloud Credentials", "persistence"),
    "T1098.003": ("Additional Cloud Roles", "persistence"),
    "T1098.004": ("SSH Authorized Keys", "persistence"),
    "T1098.005": ("Device Registration", "persistence"),
    "T1110": ("Brute Force", "credential access"),
    "T1110.001": ("Password Guessing", "credential access"),
    "T1110.003": ("Password Spraying", "credential access"),
    "T1110.004": ("Credential Stuffing", "credential access"),
    "T1136": ("Create Account", "persistence"),
    "T1136.003": ("Cloud Account", "persistence"),
    "T1190": ("Exploit Public-Facing Application", "initial access"),
    "T1199": ("Trusted Relationship", "initial access"),
    "T1484": ("Domain or Tenant Policy Modification", "privilege escalation"),
    "T1484.002": ("Trust Modification", "privilege escalation"),
    "T1485": ("Data Destruction", "impact"),
    "T1486": ("Data Encrypted for Impact", "impact"),
    "T1496": ("Resource Hijacking", "impact"),
    "T1525": ("Implant Internal Image", "persistence"),
    "T1526": ("Cloud Service Discovery", "discovery"),
    "T1528": ("Steal Application Access Token", "credential access"),
    "T1530": ("Data from Cloud Storage", "collection"),
    "T1531": ("Account Access Removal", "impact"),
    "T1535": ("Unused/Unsupported Cloud Regions", "defense evasion"),
    "T1537": ("Transfer Data to Cloud Account", "exfiltration"),
    "T1538": ("Cloud Service Dashboard", "discovery"),
    "T1548": ("Abuse Elevation Control Mechanism", "privilege escalation"),
    "T1548.005": ("Temporary Elevated Cloud Access", "privilege escalation"),
    "T1550": ("Use Alternate Authentication Material", "lateral movement"),
    "T1550.001": ("Application Access Token", "lateral movement"),
    "T1550.004": ("Web Session Cookie", "lateral movement"),
    "T1552": ("Unsecured Credentials", "credential access"),
    "T1552.001": ("Credentials In Files", "credential access"),
    "T1552.005": ("Cloud Instance Metadata API", "credential access"),
    "T1555": ("Credentials from Password Stores", "credential access"),
    "T1555.006": ("Cloud Secrets Management Stores", "credential access"),
    "T1556": ("Modify Authentication Process", "persistence"),
    "T1556.006": ("Multi-Factor Authentication", "persistence"),
    "T1556.007": ("Hybrid Identity", "persistence"),
    "T1556.009": ("Conditional Access Policies", "persistence"),
    "T1562": ("Impair Defenses", "defense evasion"),
    "T1562.001": ("Disable or Modify Tools", "defense evasion"),
    "T1562.007": ("Disable or Modify Cloud Firewall", "defense evasion"),
    "T1562.008": ("Disable or Modify Cloud Logs", "defense evasion"),
    "T1567": ("Exfiltration Over Web Service", "exfiltration"),
    "T1578": ("Modify Cloud Compute Infrastructure", "defense evasion"),
    "T1580": ("Cloud Infrastructure Discovery", "discovery"),
    "T1606": ("Forge Web Credentials", "credential access"),
    "T1606.002": ("SAML Tokens", "credential access"),
    "T1619": ("Cloud Storage Object Discovery", "discovery"),
    "T1621": ("Multi-Factor Authentication Request Generation", "credential access"),
    "T1648": ("Serverless Execution", "execution"),
    "T1651": ("Cloud Administration Command", "execution"),
}
_STAGES: Final = {"escalation": "privilege escalation", "evasion": "defense evasion"}


def technique(id_: str) -> Named:
    """Name a technique or subtechnique."""
    return Named(id_, TECHNIQUES[id_][0] if id_ in TECHNIQUES else id_)


def tactic(id_: str, chain_stage: str | None = None) -> Named | None:
    """Name the tactic that a technique serves: the detector's own stage decides, else the technique's first tactic."""
    name = _STAGES.get(chain_stage, chain_stage) if chain_stage else TECHNIQUES.get(id_, ("", ""))[1]
    return Named(TACTICS[name], name.title()) if name in TACTICS else None
