"""Hours, money and storage: the ledger and what stands around it (design §8)."""
