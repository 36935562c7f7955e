"""
A real Kubernetes cluster made of plain processes on this machine; it ends with the process that started it.

Tests and benchmarks share it, and `python -m devcluster` (`make cluster`, `make images`) gives it to a person. Nothing
here depends on the tests. The modules:

    control_plane           etcd, API server, controller manager and scheduler
    node, machine, network  nodes in Linux namespaces: containerd, kubelet and kube-proxy, joined by a bridge
    cluster                 a control plane with nodes
    existing_cluster        a cluster that somebody else runs, used instead
    kueue                   Kueue on a control plane
    monitoring_definitions  those of PrometheusRule, PodMonitor and ServiceMonitor on a cluster
    prometheus              a Prometheus server, and promtool
    image_builder           builds the project's images from the Dockerfile
    image_store             gives the built images to every node
    operator_process        the operator as a process
    operator_installation   the operator as the chart installs it
    searches, resources     MetaSearches, CRDs and namespaces on a cluster
    benchmark_cluster       one node with the operator on it

    access, certificates, helm, http_probes    ways to reach a cluster
    binaries, busybox_images                   programs and images that a cluster consists of
    processes, janitor                         start processes, and end them whatever happens to their owner
"""
