"""When to decline: learned from questions whose passages are known, and calibrated for each library."""
