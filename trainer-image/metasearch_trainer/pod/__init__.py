"""
A worker pod: a supervisor, and slots in which trials run, each a process of its own.

worker          the program of the pod's first process
settings        the pod's command line and environment, and the command line of a slot
supervisor      starts slots, replaces those that end, and ends them; it imports no PyTorch, since it runs all the time
release_claims  gives back the trials that an ended process had claimed
heartbeat       renews the pod's Lease, and notices when the search is gone
oom_kills       counts how often the kernel killed for lack of memory
slot            the program in a slot
capacity        how much memory, and which GPU, a slot may use
recycling       when a slot's process is replaced
search          reads the search from the API server
"""
