"""Benchmarks: ours beside the peers, measured in one run; each prints what it measured."""
