"""What each stage of the worker does: reads its job, calls models, records, returns a small result. One file a kind
of stage.
"""
