"""Random series that run for minutes: `make soak MINUTES=10`."""
