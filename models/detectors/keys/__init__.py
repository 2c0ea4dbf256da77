"""Credentials: passwords, keys, second factors."""
