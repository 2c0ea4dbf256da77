"""Grafana dashboards, made by code: `make dashboards` writes them as JSON, which is what Grafana is given."""
