"""A proxy of chaos in front of the real sandbox, and a judge of what commands make of it."""
