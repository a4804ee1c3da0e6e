"""Each claim of speed or size has its command here: `make bench NAME=…`."""
