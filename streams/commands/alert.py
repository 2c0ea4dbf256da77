"""alert: findings to PagerDuty, Alertmanager, a webhook."""
