"""Grants: who may do what, and what a change newly allows."""
