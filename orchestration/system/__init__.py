"""A profile's system described and held against what the programme promised."""
