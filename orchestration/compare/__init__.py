"""Any two runs compared, clip by clip on the held-out clips that both saw."""
