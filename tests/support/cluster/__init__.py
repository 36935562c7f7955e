"""A real Kubernetes cluster on this machine, of plain processes, that vanishes with the process that started it.

binaries        where the programs are, and what to do where they are not
certificates    an authority of the cluster's own
household       the processes and the folder of a cluster, and how it is made sure that nothing of them stays
janitor         the program that takes everything down
access          what a test has in hand: an address, a kubeconfig, kubectl
control_plane   etcd, API server, controller manager and scheduler
kueue           Kueue on such a control plane
builds          the project's own images, built from the Dockerfile
golden          those images on nodes, without importing them into each
existing        a cluster that is there already, used instead
measured        one node with the operator on it, for benchmarks
"""
