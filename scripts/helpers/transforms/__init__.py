"""Transforms and their proof; the quality of a nexset's samples."""
