"""Candidates for negatives: records, nearest-neighbour search, windows, margins and sampling."""
