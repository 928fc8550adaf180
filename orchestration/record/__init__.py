"""The SQL record: append-only, hash-chained, copied to MLflow and Dagster."""
