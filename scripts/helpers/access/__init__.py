"""Who has access: changing it, and auditing it."""
