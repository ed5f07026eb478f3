"""The tiers of training: a query map, the query tower, or both towers."""
