"""The programme as Dagster assets, one file a stage, in the order data flows. What runs them lies in orchestration/."""
