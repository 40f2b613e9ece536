"""Deploying a flow from a config file, and tearing it down."""
