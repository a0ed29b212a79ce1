# No doors: the ledger is reached through `_tilecodec.encode`.
