"""The experiments that remain (§5): each of cells, declared in config/experiments/ before it is run (ADR 24)."""

STUDIES = ("c2", "q3", "c3", "q4", "q5", "c4")
"""In the order of §5.7."""
