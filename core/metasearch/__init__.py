"""MetaSearch: progressive neural architecture search for few-shot learners, on a laptop or a Kubernetes cluster."""

__version__ = "0.1.0"
