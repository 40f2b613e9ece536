"""The state of a flow, and activating, pausing, restarting and running it."""
