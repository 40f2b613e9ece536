"""What the sandbox knows: documents, clock and settings, and the seeds that it starts with."""
