"""
The operator: drives every MetaSearch of its namespaces to its end.

    handlers (kopf) ─▶ drives (a driver per search) ─▶ pass_over: observe ─▶ plan ─▶ apply ─▶ one status write ─▶ events
                              ▲                            │
                              └──── "something changed" ── copies (reflectors of trials, Jobs, pods, leases)

A pass looks at all there is and does what is lacking; nothing it needs is remembered from one to the next. Killed
anywhere and started again, or run twice at once, the operator comes to the same place.
"""
