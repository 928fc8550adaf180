"""Who is told of what waits for a person, and how."""
