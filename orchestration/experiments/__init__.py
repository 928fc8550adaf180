"""Experiments: declared before they run (config/experiments/), judged by the rule that was declared, and recorded."""
