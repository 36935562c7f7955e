"""Show and hand over what came out of a search: tables, the delivered network's folder, a snapshot of both."""
