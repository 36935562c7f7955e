"""
A worker pod: a supervisor, and slots in which trials run, each a process of its own.

settings      what the pod is told, and what of it the slots are
supervisor    starts slots, replaces those that end, ends them (no PyTorch: it is to be small, and there for good)
slots         the processes
claims        what becomes of the trials that an ended process had claimed
heartbeat     the pod's Lease, and whether the search is still there
kernel        how often the kernel killed for lack of memory
slot          the program in a slot
capacity      what a slot may use of the pod: memory and GPUs
"""
