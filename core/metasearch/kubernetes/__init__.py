"""
The Kubernetes objects of a search: names, MetaSearch, MetaTrial, their definitions, and the Job of the workers.

These modules turn values into values and talk to no cluster.
"""
