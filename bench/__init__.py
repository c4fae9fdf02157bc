"""What a call, a start and the memory of the sidecar cost: `make bench`."""
