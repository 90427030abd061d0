"""Events on an append-only log, under the TinyDB surface."""
