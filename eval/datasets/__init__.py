"""Data sets and golden questions."""
