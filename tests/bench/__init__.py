"""Benchmarks: each module prints a table and writes its rows to build/bench/<name>.json."""
