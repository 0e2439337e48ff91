"""The peers of the benchmark: each runs in an environment of its own, and is handed files."""
