"""The environment of the report's templates."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(name: str) -> Template:
    """Return a template of the report by the name of its file."""
    environment = Environment(
        loader=PackageLoader("metasearch_cli.report"),
        autoescape=True,
        # A name that is misspelled in the template is an error, not a gap in the page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)
