"""Changing and auditing access."""
