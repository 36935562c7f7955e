"""
Alerts: when somebody is told that something needs them, and what they read then.

    model       the form of an alert and of its runbook
    promql      selectors of series, built from metrics so that no name can drift
    external    series that other programs expose
    operator, workers, search, budget, surrogate, gpu    the alerts, by subject
    catalogue   all of them
    rules       as Prometheus reads them, and as the chart does
    pages       as people read them

Rules join on labels and never name a search, so no name needs to be escaped. An alert about a search says nothing of
one that has ended or is suspended.
"""
