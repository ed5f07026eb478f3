"""Benchmarks of serving, ingesting and answering."""
