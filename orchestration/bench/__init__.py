"""What the benchmarks of the orchestration compare: the feature cache's precisions, Dagster over its workers, scale."""
