"""Simulated people, whose votes can be compared with the truth."""
