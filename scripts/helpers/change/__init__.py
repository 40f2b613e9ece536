"""A change as a list of steps: plan, journal, apply, verify, undo, resume."""
