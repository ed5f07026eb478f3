"""Held-out questions, what versions serve and answer for them, and reports on demand."""
