"""Cross encoder."""
