"""What the sandbox knows: documents, clock, settings and what it starts with."""
