"""The gate that decides whether a candidate is promoted."""
