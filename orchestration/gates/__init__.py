"""From an evaluation to a decision: pure functions, and what asks them (design §7)."""
