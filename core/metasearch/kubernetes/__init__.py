"""
What Kubernetes holds of a search: names, the resources MetaSearch and MetaTrial, and their definitions.

These modules turn values into values and talk to no cluster.
"""
