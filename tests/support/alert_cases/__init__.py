"""
Cases for alerts: series, and what fires when. Names, times and sentences are written out, not taken from the model.

    form       what a case is, and how promtool reads it
    operator, search, workers, budget, surrogate, gpu    the cases, by the subject of the alerts
    every      all of them
    mutants    alerts that are slightly wrong
"""
