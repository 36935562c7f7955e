"""
Talking to an API server: requests in plain JSON, and copies of what is there that keep up by themselves.

Only these modules know the Kubernetes client; they know nothing of searches.
"""
