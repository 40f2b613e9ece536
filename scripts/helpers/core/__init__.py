"""What knows nothing of Nexla's answers: errors, redaction, kinds, settings, limits, times, config files."""
