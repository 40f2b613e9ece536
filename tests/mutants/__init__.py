"""Small changes that break a promise each, and the runner that looks for a test that notices."""
