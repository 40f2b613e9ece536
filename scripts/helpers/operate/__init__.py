"""Operating a flow: status and metrics, activate, pause, restart, and run now."""
