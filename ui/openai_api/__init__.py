"""Openai api."""
