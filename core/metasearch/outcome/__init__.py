"""What came out of a search: its result, and the status of its resource."""
