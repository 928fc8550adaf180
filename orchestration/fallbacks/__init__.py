"""The fallbacks of §4.3 as programmes of their own: declared apart from the proposal's, and never in its place."""
