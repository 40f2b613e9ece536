"""Errors, redaction, kinds, settings, limits, times and config files. Nothing here depends on API responses."""
