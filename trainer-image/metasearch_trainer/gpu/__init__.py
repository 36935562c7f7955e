"""The layers of a network as kernels for GPUs, in Triton. Only processes with a GPU import them."""
