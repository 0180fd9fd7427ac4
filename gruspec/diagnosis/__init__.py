"""How strong a suite is, and which wrong GRU an implementation is."""
