"""Guardrails: logging, monitoring, and who may vouch for identities."""
