"""The commands of `nightjar`, one group a file."""
