"""What takes too long for every test run: random series, and a change of every constant. `make soak MINUTES=10`."""
