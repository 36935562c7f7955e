"""
The commands for a search on a cluster, as the user of a kubeconfig.

They only read, but for the pod that reads weights from a claim. A refusal of the API server becomes a sentence.
"""
