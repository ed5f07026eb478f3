"""Questions that a library asks of itself, for training before anybody has voted."""
