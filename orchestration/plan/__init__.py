"""config/programme.yaml as types, and the plan held against what stands: timeline and risks."""
