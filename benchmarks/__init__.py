"""Benchmarks of the server against its peers and against the floor; run `python -m benchmarks`."""
