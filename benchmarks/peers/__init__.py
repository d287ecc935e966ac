"""Numbers beside the peers' numbers: run by `make test-peers`."""
