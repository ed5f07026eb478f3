"""Answering, and everything that is remembered."""
