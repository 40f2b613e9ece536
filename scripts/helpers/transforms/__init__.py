"""Transforms and the proof of their effect; the quality of a nexset's samples."""
