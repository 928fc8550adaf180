"""Copies of the state that cannot be made again, and the way back from them (ADR 21)."""
