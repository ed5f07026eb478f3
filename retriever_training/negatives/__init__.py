"""One way of finding negatives a file."""
