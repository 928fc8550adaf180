"""One stage over several workers of a Ray cluster (ADR 20)."""
