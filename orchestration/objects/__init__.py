"""Large files between machines: an S3 bucket, by its own rules (ADR 17)."""
