"""People's verdicts, settled into judgments that a night can learn from and decide by."""
