"""Learning: from verdicts to a retriever that is better, or is not promoted."""
