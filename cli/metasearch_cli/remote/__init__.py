"""
What the commands do with a search on a cluster, as the user of a kubeconfig.

It only reads, but for the pod that lends the weights on a claim. Whatever the API server refuses is told in a sentence.
"""
