"""
Talk to an API server: requests in plain JSON, copies of objects that are kept up to date, and commands in pods.

Only these modules import the Kubernetes client; they know nothing about searches except their label.
"""
