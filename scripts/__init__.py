"""The operator scripts. Only ``scripts.retry_helpers`` is meant to be imported from elsewhere."""
