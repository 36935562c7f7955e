"""The outcome of a search: its figures, its result, and the status of its resource."""
