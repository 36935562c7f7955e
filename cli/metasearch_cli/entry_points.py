"""
The programs `metasearch` and `kubectl-metasearch`.

To import what the commands need takes most of a second. A Ctrl-C within it ends the program as one later does, since
nothing is imported before that is taken care of.
"""

import sys

INTERRUPTED = 130
"""The exit code after Ctrl-C, 128 + SIGINT. `signal` would have to be imported first."""


def metasearch() -> None:
    """Run `metasearch`."""
    try:
        from metasearch_cli.main import main
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    main()


def kubectl_metasearch() -> None:
    """Run `kubectl metasearch`."""
    try:
        from metasearch_cli.main import plugin
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    plugin()
