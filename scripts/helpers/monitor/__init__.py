"""Health, alerts, logs and diagnosis."""
