"""The Nexla API: one session, one function that calls it, and its resources, flows, runs, logs, samples and probes."""
