"""MetaSearch: progressive neural architecture search for few-shot learners, on a laptop or a Kubernetes cluster."""

from metasearch.version import __version__ as __version__
