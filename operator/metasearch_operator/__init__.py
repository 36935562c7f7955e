"""
The operator: reconcile every MetaSearch of its namespaces until it has ended.

    handlers (kopf) ─▶ search_tasks ─▶ reconciler: observe ─▶ plan ─▶ apply ─▶ one status write ─▶ events
                            ▲                         │
                            └─ "something changed" ─ cache (reflectors of trials, Jobs, pods, leases)

A reconcile looks at everything there is and makes what is missing; it needs nothing from the one before. An operator
that is killed at any point and started again, or that runs twice at once, reaches the same state.
"""
