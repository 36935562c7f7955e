"""`python -m metasearch` runs the program `metasearch` of the same environment."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

PROGRAM = "metasearch"


def main() -> None:
    """Run the program, which is a package above this one and so is found as pip's script for it is: by its name."""
    for each in entry_points(group="console_scripts", name=PROGRAM):
        each.load()()
        return
    sys.exit(f"{PROGRAM}: this Python has its library and not its command line; pip install metasearch-operator")


if __name__ == "__main__":
    main()
