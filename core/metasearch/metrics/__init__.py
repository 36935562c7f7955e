"""
Metrics for Prometheus: what there is to watch, in one place.

model        the form of a metric and of a sample
of_search    metrics of a search, computed from what is on record of it
of_operator  metrics of the operator's process
of_worker    metrics of a worker's pod
catalogue    all of them, which reference, dashboards and alerts are made from
exposition   as the official client exposes them

A metric of a search has the labels `namespace` and `search`, never the name of a trial or a worker: the number of
series grows with the searches, not with what they try. Those of a search that is gone are gone.
"""
