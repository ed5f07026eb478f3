"""Statistical tests, intervals and ranking measures."""
