"""
One model of what is watched, in Python: what the chart ships, the docs say and the tests try is made from it.

It is used while developing, and no part of the wheel. It imports `metasearch.metrics` alone, whose metrics it names.

    alerts      the alerts with their runbooks; rules for Prometheus, data for the chart and pages are made from them
    dashboards  the dashboards for Grafana
    limits      numbers that both have
    prometheus-rules.yaml  the alerts for a Prometheus without its operator, generated
"""
