"""
Write the generated files.

The models give the references in docs/reference/ and the CRDs, both alone and as templates of the chart; the catalogue
of metrics gives theirs, and the chart's values.yaml gives docs/values.md. Of monitoring/, the alerts give the rules,
the chart's data and the runbooks, and the dashboards the chart's. With --check it only says which files are out of
date, and fails if there are any.
"""

from __future__ import annotations

import enum
import inspect
import json
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import metrics_table
import values_table
import yaml
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen, MultipleOf
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from metasearch.api import CHANGEABLE, MetaSearchSpec
from metasearch.dataset_metadata import DatasetMetadata
from metasearch.kubernetes import crds
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.kubernetes.trial_resource import MetaTrialSpec, MetaTrialStatus
from metasearch.outcome.results import SearchResult

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # monitoring is no installed package
import alert_files  # noqa: E402
import dashboard_tables  # noqa: E402
from monitoring.dashboards import grafana  # noqa: E402
from monitoring.dashboards.catalogue import DASHBOARDS  # noqa: E402

CHART = ROOT / "helm" / "metasearch"

SPEC_HEAD = f"""\
# The MetaSearch resource

Every field of `spec`, made from the models by `make generate`. Only `dataset` must be given.

    apiVersion: metasearch.dev/v1alpha1
    kind: MetaSearch
    metadata: {{name: omniglot}}
    spec:
      dataset: {{name: omniglot}}

Decimals are text in quotes, durations are such as `1h30m`, amounts of memory such as `4Gi`. `metasearch run --set
search.progressive.beamWidth=8` overrides a field. Of a search that was begun, only these may be changed:
{", ".join(CHANGEABLE)}.
On a cluster, `kubectl explain metasearch.spec` tells the same.
"""

RESULT_HEAD = """\
# result.json

What `metasearch run` leaves in its folder, made from the models by `make generate`. Scores and accuracies are shares in
[0, 1]; intervals are half-widths of 95% intervals; times are in seconds. Fields that were not measured are null.
"""

DATASET_HEAD = """\
# The metadata of a data set

What `metasearch inspect FILE -o json` prints and `Search.inspect` returns, made from the models by `make generate`.
Images count as they are after reading and resizing; pixels have values in [0, 1], as networks see them.
"""

KUBERNETES_HEAD = """\
# What a cluster says of a search

The status of a MetaSearch, and the MetaTrials that it is computed from; made from the models by `make generate`.
Numbers that may have a fraction are text, so that no digit is lost; times are in UTC. What was not measured is missing.
"""

METRICS_HEAD = """\
# Metrics

What Prometheus can read of a search and of the operator, made from the catalogue in `metasearch.metrics` by `make
generate`. The operator answers at port 8081 of its pod, `/metrics`; `metasearch run --metrics-port PORT` exposes those
of its search at `http://127.0.0.1:PORT/metrics`, with an empty `namespace`. No label is a trial's or a worker's name.
"""

DASHBOARDS_HEAD = """\
# Panels of the dashboards

Every panel of the [dashboards](../dashboards.md) for Grafana, made from them by `make generate`.
"""

DEFINITION_HEAD = """\
# Made from the models by `make generate`.
"""

DEFINITION_TEMPLATE = """\
{{{{- /* Made from the models by `make generate`. */}}}}
{{{{- if .Values.crds.enabled }}}}
{head}
  {{{{- $annotations := dict {annotations} }}}}
  {{{{- if .Values.crds.keep }}}}
  {{{{- $_ := set $annotations "helm.sh/resource-policy" "keep" }}}}
  {{{{- end }}}}
  {{{{- include "metasearch.metadata" (list . "definitions" $annotations) | nindent 2 }}}}
{spec}
{{{{- end }}}}
"""

VALUES_HEAD = """\
# Values of the chart

Made from `helm/metasearch/values.yaml` by `make generate`. A key that is not in here is refused, and so is a value of
another kind; `helm install … --set image.registry=registry.example.com/team` or `--values FILE` sets them.

| value | default | meaning |
|---|---|---|
"""


def main() -> int:
    """Write or check all files; return the exit code."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, text in _files() if not path.exists() or path.read_text(encoding="utf-8") != text]
    superfluous = alert_files.superfluous(ROOT)
    if check:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date; run make generate\n")
        for path in superfluous:
            sys.stderr.write(f"{path.relative_to(ROOT)} is made from nothing any more; run make generate\n")
        return 1 if stale or superfluous else 0
    for path in superfluous:
        path.unlink()
    for path, text in _files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


def _files() -> Iterator[tuple[Path, str]]:
    reference = ROOT / "docs" / "reference"
    yield reference / "spec.md", SPEC_HEAD + "".join(_sections(MetaSearchSpec, "spec", with_bounds=True))
    yield reference / "result.md", RESULT_HEAD + "".join(_sections(SearchResult, "result", with_bounds=False))
    yield reference / "dataset.md", DATASET_HEAD + "".join(_sections(DatasetMetadata, "dataset", with_bounds=False))
    kept = {"MetaSearch.status": SearchStatus, "MetaTrial.spec": MetaTrialSpec, "MetaTrial.status": MetaTrialStatus}
    sections = (section for path, model in kept.items() for section in _sections(model, path, with_bounds=False))
    yield reference / "kubernetes.md", KUBERNETES_HEAD + "".join(sections)
    yield reference / "metrics.md", METRICS_HEAD + "".join(metrics_table.sections())
    yield reference / "dashboards.md", DASHBOARDS_HEAD + "".join(dashboard_tables.sections())
    for dashboard in DASHBOARDS:
        yield CHART / "dashboards" / f"{dashboard.uid}.json", grafana.to_json(dashboard)
    for resource, definition in crds.definitions().items():
        text = yaml.safe_dump(definition, sort_keys=False, width=120)
        yield ROOT / "crds" / f"{resource.plural}.yaml", DEFINITION_HEAD + text
        yield CHART / "templates" / "crds" / f"{resource.plural}.yaml", _definition_template(definition, text)
    yield from alert_files.files(ROOT, CHART)
    rows = values_table.rows((CHART / "values.yaml").read_text(encoding="utf-8"))
    yield (
        ROOT / "docs" / "values.md",
        VALUES_HEAD + "".join(f"| `{path}` | {value} | {text} |\n" for path, value, text in rows),
    )


def _definition_template(definition: crds.Definition, text: str) -> str:
    """Return a template for a CRD that the chart installs if its values say so, with the chart's labels."""
    metadata = definition["metadata"]
    head = {key: definition[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": metadata["name"]}}
    spec = text[text.index("\nspec:\n") + 1 :]
    assert "{{" not in spec, "Helm would take it for its own"
    annotations = (json.dumps(text) for pair in metadata["annotations"].items() for text in pair)
    return DEFINITION_TEMPLATE.format(
        head=yaml.safe_dump(head, sort_keys=False).rstrip(), annotations=" ".join(annotations), spec=spec.rstrip()
    )


def _sections(root: type[BaseModel], path: str, with_bounds: bool) -> Iterator[str]:
    """Yield a heading and a table for a model, and then for each model in it, once each."""
    places: dict[type[BaseModel], str] = {}
    for model, place in _places(root, path):
        places.setdefault(model, place)
    for model, place in places.items():
        yield from _section(model, place, with_bounds, places)


def _places(model: type[BaseModel], path: str) -> Iterator[tuple[type[BaseModel], str]]:
    """Yield a model and each one in it, with the paths to them."""
    yield model, path
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            yield from _places(inner, _path(path, name, field))


def _path(path: str, name: str, field: FieldInfo) -> str:
    return f"{path}.{field.alias or name}{'[]' if get_origin(field.annotation) is tuple else ''}"


def _section(model: type[BaseModel], path: str, with_bounds: bool, places: dict[type[BaseModel], str]) -> Iterator[str]:
    """Yield the heading and the table of a model. A field whose model has its table at another path refers to it."""
    columns = ("field", "type", *(("default",) if with_bounds else ()), "meaning")
    yield f"\n## {path}\n\n{_first_paragraph(model)}\n\n"
    yield f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    for name, field in model.model_fields.items():
        others = [places[each] for each in _models(field.annotation) if places[each] != _path(path, name, field)]
        cells = [f"`{field.alias or name}`", _type_text(field) + "".join(f", as {_link(each)}" for each in others)]
        if with_bounds:
            cells.append(_default_text(field))
        yield "| " + " | ".join([*cells, _description(field)]) + " |\n"


def _link(path: str) -> str:
    """Return a link to a section of the same page, by the name that GitHub gives its heading."""
    anchor = "".join(each for each in path.lower() if each.isalnum() or each in "-_")
    return f"[{path}](#{anchor})"


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())


def _description(field: FieldInfo) -> str:
    text = field.description or ""
    return text.replace("|", "\\|")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel) and candidate is not MetaSearchSpec:
            yield candidate


def _type_text(field: FieldInfo) -> str:
    return ", ".join([_plain_type(field.annotation), *_bounds(field.metadata)])


def _plain_type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_plain_type(each) for each in arguments if each is not type(None))
    if origin is typing.Literal:
        return " or ".join(f"`{each}`" for each in arguments)
    if origin is typing.Annotated:
        return _plain_type(arguments[0])
    if origin is tuple:
        return f"list of {_plain_type(arguments[0])}"
    if origin is dict:
        return f"object from {_plain_type(arguments[0])} to {_plain_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{each}`" for each in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    names = {int: "integer", float: "number", str: "text", bool: "true or false"}
    return names.get(annotation, annotation.__name__.lower())


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for rule in metadata:
        match rule:
            case Ge(bound):
                yield f"at least {bound:,}"
            case Gt(bound):
                yield f"more than {bound:,}"
            case Le(bound):
                yield f"at most {bound:,}"
            case Lt(bound):
                yield f"less than {bound:,}"
            case MultipleOf(divisor):
                yield f"a multiple of {divisor}"
            case MinLen(length):
                yield f"length at least {length}"
            case MaxLen(length):
                yield f"length at most {length:,}"


def _default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value in (None, (), {}) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{value}`"


if __name__ == "__main__":
    sys.exit(main())
