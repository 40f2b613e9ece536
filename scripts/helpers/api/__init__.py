"""The API: one session, one way to call it, and its resources, flows, runs, logs, samples, probes and writes."""
