"""One night: from judgments to a candidate, its measurement, and the gate's decision."""
