"""YAML becomes a resource, and each mistake in it one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from metasearch.api import Baseline, MetaSearch, Operation
from metasearch.errors import InvalidSpec
from metasearch.loading import load_search, parse_search

HEAD = "apiVersion: metasearch.dev/v1alpha1\nkind: MetaSearch\nmetadata: {name: mine}\n"


def load(text: str | bytes, *overrides: str) -> MetaSearch:
    path = Path("mine.yaml")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_search(path, overrides)


def refusal(text: str | bytes, *overrides: str) -> str:
    """Return the error that a user reads about a wrong resource."""
    with pytest.raises(InvalidSpec) as raised:
        load(text, *overrides)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def with_spec(**fields: Any) -> str:
    return HEAD + yaml.safe_dump({"spec": {"dataset": {"name": "omniglot"}, **fields}})


# --- right --------------------------------------------------------------------------------------------------------


def test_a_data_set_is_all_it_takes() -> None:
    resource = load(with_spec())
    assert (resource.metadata.name, resource.spec.search.strategy, resource.spec.seed) == ("mine", "Progressive", 0)


def test_what_kubernetes_adds_to_a_resource_is_passed_over() -> None:
    text = with_spec().replace("{name: mine}", "{name: mine, uid: 1-2, creationTimestamp: 2026-01-01T00:00:00Z}")
    assert load(text + "status: {phase: Searching}").metadata.name == "mine"


def test_a_resource_is_read_back_as_it_is_written() -> None:
    resource = load(with_spec(final={"reserve": "0.50"}, budget={"wallTime": "90m", "trialMemory": "512Mi"}))
    assert parse_search(resource.model_dump(mode="json", by_alias=True)) == resource
    assert '"reserve":"0.50"' in resource.model_dump_json(by_alias=True)


def test_a_field_that_is_null_is_one_that_is_left_out() -> None:
    """The API server drops nulls in these resources, so both readings agree."""
    assert load(HEAD + "spec: {dataset: {name: omniglot, folder: }, search: , seed: null}") == load(with_spec())
    assert refusal(HEAD + "spec: {dataset: }").endswith("spec.dataset is missing; it must be given")
    assert refusal(with_spec(task={"shot": None})).endswith("spec.task has no field 'shot'; did you mean shots?")


def test_a_resource_for_a_cluster_is_one_for_a_single_machine_too() -> None:
    worker = {"slots": 4, "template": {"resources": {"limits": {"nvidia.com/gpu": 1, "memory": "16Gi"}}}}
    spec = load(with_spec(worker=worker, suspend=True)).spec
    assert (spec.suspend, spec.worker.slots) == (True, 4)
    assert spec.worker.template.resources.limits == {"nvidia.com/gpu": "1", "memory": "16Gi"}


def test_whole_numbers_may_be_written_as_kubectl_takes_them() -> None:
    text = HEAD + (
        "spec: {dataset: {name: omniglot}, parallelism: 4.0, seed: 1e3, "
        "worker: {template: {resources: {limits: {memory: 1e9, cpu: 2.0}}}}}"
    )
    spec = load(text).spec
    assert (spec.parallelism, spec.seed) == (4, 1000)
    assert spec.worker.template.resources.limits == {"memory": "1000000000", "cpu": "2"}


def test_anchors_may_be_used() -> None:
    text = HEAD + "spec: {dataset: {name: omniglot}, task: &few {ways: 3, shots: 2}}"
    assert load(text + "\n---\n").spec.task.ways == 3
    assert load(HEAD + "spec: {dataset: &set {name: omniglot}, task: {ways: 4}}").spec.task.ways == 4


class Bomb:
    """A text of a few hundred characters, of which anchors make as many as there are atoms in a speck of dust."""

    def format(self, level: str) -> str:
        levels = [f"{chr(98 + index)}: &{chr(98 + index)} {level.format(chr(97 + index))}" for index in range(20)]
        return "\n".join(["a: &a {k: x}", *levels])


BOMB = Bomb()

# --- wrong YAML ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("", "mine.yaml holds 0 documents; it must hold one MetaSearch resource", id="empty"),
        pytest.param(
            "a: 1\n---\nb: 2", "mine.yaml holds 2 documents; it must hold one MetaSearch resource", id="two documents"
        ),
        pytest.param(
            b"\xff\xfe\x00", "mine.yaml is not text in UTF-8; give the YAML file of a MetaSearch resource", id="no text"
        ),
        pytest.param(
            "- a",
            "mine.yaml holds a list; it must be a MetaSearch resource (apiVersion, kind, metadata, spec)",
            id="a list",
        ),
        pytest.param(
            "a: b: c", "mine.yaml is not YAML: mapping values are not allowed here (line 1, column 5)", id="no YAML"
        ),
        pytest.param(
            "seed: 1\nspec: {}\nseed: 2",
            "mine.yaml is not YAML: the key 'seed' is there twice (line 3, column 1)",
            id="twice",
        ),
        pytest.param(
            "a: !!python/object:os.system x",
            "mine.yaml is not YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object:os.system' (line 1, column 4)",
            id="something to run",
        ),
        pytest.param("a: &a [*a]", "mine.yaml is not YAML of a resource: Circular reference detected", id="endless"),
        pytest.param(
            "[" * 10_000,
            "mine.yaml is not YAML of a resource: maximum recursion depth exceeded",
            id="deep",
        ),
        pytest.param(
            BOMB.format("[*{0},*{0},*{0},*{0},*{0},*{0},*{0},*{0},*{0}]"),
            "mine.yaml is not YAML of a resource: its anchors make more than 1,000,000 characters of it",
            id="a bomb of lists",
        ),
        pytest.param(
            BOMB.format("{{<<: [*{0},*{0},*{0},*{0},*{0},*{0},*{0},*{0},*{0}]}}"),
            "mine.yaml is not YAML of a resource: its anchors make more than 1,000,000 characters of it",
            id="a bomb of merged objects",
        ),
        pytest.param("? !!binary aa==\n: b", "mine.yaml is not YAML of a resource: keys must be str", id="odd key"),
    ],
)
def test_what_is_not_yaml_of_a_resource(text: str | bytes, sentence: str) -> None:
    assert refusal(text).startswith(sentence)


def test_a_date_is_text_as_it_is_to_kubernetes() -> None:
    assert refusal(with_spec().replace("omniglot", "2026-13-45")) == (
        'mine.yaml: spec.dataset.name is "2026-13-45"; it must match ^[A-Za-z][-A-Za-z0-9_.]*$'
    )


def test_a_folder_is_no_resource(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"cannot be read \(Is a directory\); give the file of a MetaSearch resource"):
        load_search(tmp_path)


# --- wrong fields -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            HEAD,
            "spec is missing; it must be given",
            id="no spec",
        ),
        pytest.param(HEAD + "spec: 5", "spec is 5; it must be an object with fields", id="spec of another type"),
        pytest.param(
            with_spec() + "extra: 1",
            "no field 'extra'; its fields are apiVersion, kind, metadata, spec",
            id="at the top",
        ),
        pytest.param(
            with_spec(task={"shot": 1}), "spec.task has no field 'shot'; did you mean shots?", id="nearly a field"
        ),
        pytest.param(
            with_spec(final={"baseline": "Conv4"}),
            "spec.final has no field 'baseline'; did you mean baselines?",
            id="a field of old",
        ),
        pytest.param(
            with_spec(final={"baselines": ["ResNet"]}),
            "spec.final.baselines[0] is \"ResNet\"; it must be 'Conv4', 'Conv4Matched' or 'Conv4Pooled'",
            id="no baseline",
        ),
        pytest.param(
            with_spec(final={"baselines": ["Conv4", "Conv4"]}),
            'spec.final is {"baselines": ["Conv4", "Conv4"]}; it must not name a network twice in baselines',
            id="a baseline twice",
        ),
        pytest.param(
            with_spec(task={"beams": 1}), "spec.task has no field 'beams'; its fields are ways, shots", id="no field"
        ),
        pytest.param(with_spec(seed=1.5), "spec.seed is 1.5; it must be a whole number", id="a decimal"),
        pytest.param(with_spec(seed=True), "spec.seed is true; it must be a whole number", id="a truth value"),
        pytest.param(with_spec(seed="1"), 'spec.seed is "1"; it must be a whole number', id="a number in quotes"),
        pytest.param(with_spec(parallelism=0), "spec.parallelism is 0; it must be at least 1", id="too little"),
        pytest.param(
            with_spec(dataset={"name": "omniglot", "imageSize": 513}),
            "spec.dataset.imageSize is 513; it must be at most 512",
            id="too much",
        ),
        pytest.param(
            with_spec(training={"reptile": {"innerLearningRate": "0"}}),
            'spec.training.reptile.innerLearningRate is "0"; it must be more than 0',
            id="nothing where there must be something",
        ),
        pytest.param(
            with_spec(final={"reserve": "1"}), 'spec.final.reserve is "1"; it must be less than 1', id="all of it"
        ),
        pytest.param(
            with_spec(final={"reserve": 0.5}),
            'spec.final.reserve is 0.5; it must be a decimal in quotes: "0.5"',
            id="a decimal without quotes",
        ),
        pytest.param(
            with_spec(training={"reptile": {"innerLearningRate": 1e-5}}),
            'spec.training.reptile.innerLearningRate is 1e-05; it must be a decimal in quotes: "0.00001"',
            id="a small decimal without quotes",
        ),
        pytest.param(
            with_spec(budget={"wallTime": "1 day"}),
            'spec.budget.wallTime is "1 day"; it must be a duration such as 24h, 1h30m or 90s',
            id="no duration",
        ),
        pytest.param(
            with_spec(budget={"trialMemory": "1GB"}),
            'spec.budget.trialMemory is "1GB"; it must be an amount of memory such as 512Mi or 4Gi',
            id="no amount of memory",
        ),
        pytest.param(
            with_spec(search={"earlyStopping": {"rule": "median"}}),
            "spec.search.earlyStopping.rule is \"median\"; it must be 'Never' or 'Median'",
            id="another letter case",
        ),
        pytest.param(
            with_spec(space={"filterScale": 5}),
            "spec.space.filterScale is 5; it must be 1, 2, 3 or 4",
            id="none of a few",
        ),
        pytest.param(
            with_spec(space={"operations": "identity"}),
            'spec.space.operations is "identity"; it must be a list',
            id="one for a list",
        ),
        pytest.param(
            with_spec(space={"operations": []}),
            "spec.space.operations is []; it must have at least 1 entry",
            id="an empty list",
        ),
        pytest.param(
            with_spec(dataset={"folder": {"path": ""}}),
            'spec.dataset.folder.path is ""; it must have at least 1 character',
            id="empty text",
        ),
        pytest.param(
            with_spec().replace("mine", "m" * 41),
            "; it must have at most 40 characters",
            id="a name too long for labels",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_rule(text: str, sentence: str) -> None:
    found = refusal(text)
    assert found.startswith("mine.yaml: ")
    assert found.endswith(sentence)


UNIFORM = {"name": "filters", "distribution": "Uniform", "minimum": 4, "maximum": 8}
CHOICE = {"name": "concat", "distribution": "Choice", "values": ["All", "Unused"]}


@pytest.mark.parametrize(
    ("hyperparameters", "sentence"),
    [
        pytest.param([UNIFORM | {"maximum": 600}], '[0].maximum is "600"; it must be at most 512', id="above a field"),
        pytest.param([UNIFORM | {"minimum": 0}], '[0].minimum is "0"; it must be at least 1', id="below a field"),
        pytest.param(
            [CHOICE, UNIFORM | {"maximum": "7.5"}], '[1].maximum is "7.5"; it must be a whole number', id="half"
        ),
        pytest.param(
            [CHOICE | {"values": ["All", "None"]}],
            "[0].values[1] is \"None\"; it must be 'All' or 'Unused'",
            id="no such choice",
        ),
        pytest.param(
            [{"name": "stemStride", "distribution": "Fixed", "value": 3}],
            '[0].value is "3"; it must be 1 or 2',
            id="no such value",
        ),
        pytest.param(
            [UNIFORM | {"name": "innerLearningRate", "maximum": "0.5", "minimum": 0}],
            '[0].minimum is "0"; it must be more than 0',
            id="on a bound that is left out",
        ),
        pytest.param(
            [UNIFORM | {"distribution": "Linear", "steps": 3}],
            "[0].steps is 3; it must divide the way from 4 to 8 into whole numbers",
            id="steps between whole numbers",
        ),
        pytest.param(
            [UNIFORM | {"name": "metaIterations"}],
            '[0].name is "metaIterations"; it must be one of filters, filterScale, repeats, reductions, stemStride, '
            "concat, averaging, metaBatchSize, shots, metaStepSize, finalMetaStepSize, innerSteps, innerBatchSize, "
            "innerLearningRate, optimizerState, evaluationSteps, evaluationBatchSize",
            id="no such field",
        ),
        pytest.param([CHOICE | {"values": []}], "[0].values is []; it must have at least 1 entry", id="empty"),
        pytest.param([UNIFORM | {"minimum": 9}], "; it must have a minimum below maximum", id="inverted"),
        pytest.param(
            [UNIFORM | {"minimum": 0, "distribution": "LogUniform"}],
            "; it must have a minimum above 0 where distribution is LogUniform",
            id="the logarithm of 0",
        ),
        pytest.param([UNIFORM, UNIFORM], "; it must not name a field twice in hyperparameters", id="twice"),
    ],
)
def test_hyperparameters_that_cannot_be_drawn_are_refused(hyperparameters: list[Any], sentence: str) -> None:
    found = refusal(with_spec(search={"hyperparameters": hyperparameters}))
    assert found.startswith("mine.yaml: spec.search")
    assert found.endswith(sentence)


@pytest.mark.parametrize("where", ["training", "final.training"])
@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        pytest.param(
            {"maml": {}},
            ' is {"maml": {}}; it must have maml only where metaLearner is MAML',
            id="settings of a learner, and none is named",
        ),
        pytest.param(
            {"metaLearner": "MAML", "reptile": {}},
            ' is {"metaLearner": "MAML", "reptile": {}}; it must have reptile only where metaLearner is Reptile',
            id="settings of another learner",
        ),
        pytest.param(
            {"options": {"a": "b"}},
            ' is {"options": {"a": "b"}}; it must have options only where metaLearner comes with an installed package',
            id="options of a learner that has settings",
        ),
        pytest.param(
            {"metaLearner": "Own", "options": {"rate": 1}},
            ".options.rate is 1; it must be text",
            id="an option without quotes",
        ),
        pytest.param(
            {"reptile": {"innerSteps": 0}}, ".reptile.innerSteps is 0; it must be at least 1", id="no inner steps"
        ),
        pytest.param(
            {"reptile": {"innerStep": 1}},
            ".reptile has no field 'innerStep'; did you mean innerSteps?",
            id="nearly a setting",
        ),
        pytest.param(
            {"metaLearner": "Truncated", "truncated": {"innerSteps": 2, "window": 3}},
            '.truncated is {"innerSteps": 2, "window": 3}; it must have a window of at most innerSteps',
            id="a window that is longer than the inner loop",
        ),
        pytest.param(
            {"metaLearner": "Prototypes", "prototypes": {"mergedTasks": 3, "metaBatchSize": 16}},
            '.prototypes is {"mergedTasks": 3, "metaBatchSize": 16}; it must have a mergedTasks that divides '
            "metaBatchSize",
            id="merged tasks that do not come out even",
        ),
        *(
            pytest.param(
                {"metaLearner": "Evolution", "evolution": {"population": population}},
                f".evolution.population is {population}; it must be {bound}",
                id=f"a population of {population}",
            )
            for population, bound in ((1, "a multiple of 2"), (3, "a multiple of 2"), (0, "at least 2"))
        ),
    ],
)
def test_a_learners_settings_are_refused_by_their_path(where: str, training: dict[str, Any], sentence: str) -> None:
    fields = {"training": training} if where == "training" else {"final": {"training": training}}
    assert refusal(with_spec(**fields)) == f"mine.yaml: spec.{where}{sentence}"


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    assert refusal(with_spec(seed=-1, task={"ways": 1, "shot": 1})) == (
        "mine.yaml: spec.task.ways is 1; it must be at least 2; "
        "spec.task has no field 'shot'; did you mean shots?; "
        "spec.seed is -1; it must be at least 0"
    )


def test_a_long_value_is_cut_short() -> None:
    assert refusal(with_spec(seed="long" * 100)).endswith("long…; it must be a whole number")


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("search.progressive.beamWidth=8", "search.progressive.beam_width", 8),
        ("spec.seed=3", "seed", 3),
        ("space.operations=[conv3x3, identity]", "space.operations", (Operation.CONV_3X3, Operation.IDENTITY)),
        ("final={baselines: []}", "final.baselines", ()),
        ("final.baselines=[Conv4Matched, Conv4]", "final.baselines", (Baseline.CONV4_MATCHED, Baseline.CONV4)),
        ("budget.wallTime=90m", "budget.wall_time", "90m"),
        ("dataset.rotations=2", "dataset.rotations", 2),
        ("space.filterScale=3", "space.filter_scale", 3),
        ("task={ways: 3, shots: 2}", "task.shots", 2),
        ("training.reptile.innerSteps=3", "training.reptile.inner_steps", 3),
        ("final.training.reptile={shots: 7}", "final.training.reptile.shots", 7),
    ],
)
def test_a_setting_replaces_a_field(setting: str, field: str, value: object) -> None:
    found: Any = load(with_spec(task={"ways": 4}), setting).spec
    for name in field.split("."):
        found = getattr(found, name)
    assert found == value


def test_of_two_settings_of_a_field_the_last_counts() -> None:
    assert load(with_spec(), "seed=1", "seed=2").spec.seed == 2


def test_a_setting_can_give_what_the_file_leaves_out() -> None:
    assert load(HEAD, "dataset.name=omniglot").spec.dataset.name == "omniglot"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("seed", "it must be PATH=VALUE, such as search.progressive.beamWidth=8"),
        ("=5", "it must be PATH=VALUE, such as search.progressive.beamWidth=8"),
        ("search..beamWidth=5", "it must be PATH=VALUE, such as search.progressive.beamWidth=8"),
        ("seed=", 'is ""; it must be a whole number'),
        ("seed=1.5", 'is "1.5"; it must be a whole number'),
        ("seed.x=1", "seed has no fields; set it as a whole"),
        ("search.surrogat.members=3", "no field 'surrogat'; did you mean surrogate?"),
        ("search=5", 'is "5"; it must be an object with fields'),
        ("task={way: 5}", "no field 'way'; did you mean ways?"),
        ("task={ways: '5'}", 'ways is "5"; it must be a whole number'),
        ("space.operations=conv3x3", 'is "conv3x3"; it must be a list'),
        ("space.operations=[conv3x3", "expected ',' or ']', but got '<stream end>' (line 1, column 9)"),
        ("dataset.rotations=3", "is 3; it must be 1, 2 or 4"),
        ("dataset.rotations=x", 'is "x"; it must be 1, 2 or 4'),
    ],
)
def test_a_wrong_setting_is_reported_with_what_was_given(setting: str, sentence: str) -> None:
    found = refusal(with_spec(), setting)
    assert found.startswith(f"--set {setting.partition('=')[0]}")
    assert found.endswith(sentence)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("spec: 5", "--set search.progressive.beamWidth: spec is 5 in the file; it must be an object with fields"),
        (
            "spec: {dataset: {name: omniglot}, search: []}",
            "--set search.progressive.beamWidth: spec.search is [] in the file; it must be an object with fields",
        ),
    ],
)
def test_a_setting_inside_of_what_has_no_fields(spec: str, sentence: str) -> None:
    assert refusal(HEAD + spec, "search.progressive.beamWidth=8") == sentence
