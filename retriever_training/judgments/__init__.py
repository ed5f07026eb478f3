"""Judgments."""
