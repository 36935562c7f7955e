"""Values that break each rule between fields of the resources, and values that nearly do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_cases import PART
from pydantic.alias_generators import to_camel

from metasearch.api import (
    SETTINGS,
    STRATEGY_SETTINGS,
    Dataset,
    Evaluation,
    EvolutionSearchSettings,
    Final,
    Folder,
    Hyperparameter,
    MetaLearning,
    MetaSearchSpec,
    PodTemplate,
    PrototypesSettings,
    Search,
    Space,
    SpecModel,
    Storage,
    Toleration,
    Training,
    TruncatedSettings,
)
from metasearch.kubernetes.trial_resource import CandidateResource, MetaTrialSpec, MetaTrialStatus

Json = dict[str, Any]

CLAIM = {"worker": "w-0", "podUID": "1-2", "epoch": 2}
ACCURACY = {"mean": "0.5", "interval": "0.1", "tasks": 10}
MEASURED = {
    "epoch": 0,
    "score": "0.5",
    "parameterCount": 10,
    "multiplyAdds": 100,
}
RECIPE = {"stage": "Search", "metaIterations": 1, "seed": 0, "round": 1}
OMNIGLOT = {"dataset": {"name": "omniglot"}}
ONE, TWO = {"architecture": "a(-1)+b(-2)"}, {"architecture": "a(-1)+b(-2) | a(0)+a(0)"}
LATENCY: Json = {"maxMilliseconds": 5, "ways": 5, "shots": 1, "shifts": 0, "parts": [PART]}
HERE, THERE = {"claim": "a", "mountPath": "/here"}, {"claim": "a", "mountPath": "/there"}
GPU = {"name": "gpu", "resourceClaimTemplateName": "half-a-gpu"}

Cases = Mapping[tuple[type[SpecModel], str], tuple[list[Json], list[Json]]]


def settings_cases(model: type[SpecModel], chooser: str, fields: Mapping[str, str], default: str) -> Cases:
    """Return the cases of a model in which a field names a choice, and each choice has a field of settings."""
    cases: dict[tuple[type[SpecModel], str], tuple[list[Json], list[Json]]] = {}
    for choice, field in fields.items():
        name = to_camel(field)
        others = [{chooser: other, name: {}} for other in ("Own", *fields) if other != choice]
        unnamed = {name: {}}
        cases[model, f"must have {name} only where {chooser} is {choice}"] = (
            others if choice == default else [*others, unnamed],
            [{chooser: choice, name: {}}, {chooser: choice}, *([unnamed] if choice == default else [])],
        )
    return cases


def learner_cases(model: type[MetaLearning]) -> Cases:
    """Return the cases of a model that names a meta-learner; Reptile is the one that is named by default."""
    cases: Cases = {
        (model, "must have options only where metaLearner comes with an installed package"): (
            [{"options": {"a": "b"}}, *({"metaLearner": learner, "options": {"a": "b"}} for learner in SETTINGS)],
            [{"metaLearner": "Own", "options": {"a": "b"}}, {"metaLearner": "Own"}, {"options": {}}, {}],
        )
    }
    return {**cases, **settings_cases(model, "metaLearner", SETTINGS, "Reptile")}


UNIFORM: Json = {"name": "filters", "distribution": "Uniform", "minimum": 4, "maximum": 8}
LINEAR: Json = {**UNIFORM, "distribution": "Linear", "steps": 2}
EXPONENTIAL: Json = {**UNIFORM, "distribution": "Exponential", "scale": "1.5"}
FIXED: Json = {"name": "filters", "distribution": "Fixed", "value": 4}
CHOICE: Json = {"name": "filters", "distribution": "Choice", "values": [4, "8"]}


def without(value: Json, *names: str) -> Json:
    return {name: each for name, each in value.items() if name not in names}


RANGES = "Uniform or Linear or LogUniform or Exponential"

HYPERPARAMETER_CASES: Cases = {
    (Hyperparameter, f"must have minimum where distribution is {RANGES}, and only there"): (
        [without(UNIFORM, "minimum"), without(LINEAR, "minimum"), {**FIXED, "minimum": 1}, {**CHOICE, "minimum": 1}],
        [UNIFORM, LINEAR, EXPONENTIAL, FIXED, CHOICE],
    ),
    (Hyperparameter, f"must have maximum where distribution is {RANGES}, and only there"): (
        [without(UNIFORM, "maximum"), without(EXPONENTIAL, "maximum"), {**FIXED, "maximum": 1}],
        [{**UNIFORM, "distribution": "LogUniform"}],
    ),
    (Hyperparameter, "must have steps where distribution is Linear, and only there"): (
        [without(LINEAR, "steps"), {**UNIFORM, "steps": 2}, {**CHOICE, "steps": 2}],
        [LINEAR],
    ),
    (Hyperparameter, "must have scale where distribution is Exponential, and only there"): (
        [without(EXPONENTIAL, "scale"), {**UNIFORM, "scale": 2}],
        [EXPONENTIAL],
    ),
    (Hyperparameter, "must have value where distribution is Fixed, and only there"): (
        [without(FIXED, "value"), {**UNIFORM, "value": 2}, {**CHOICE, "value": 2}],
        [FIXED],
    ),
    (Hyperparameter, "must have values where distribution is Choice, and only there"): (
        [without(CHOICE, "values"), {**UNIFORM, "values": [2]}, {**FIXED, "values": [2]}],
        [CHOICE, {**CHOICE, "values": ["4"]}],
    ),
    (Hyperparameter, "must have a minimum below maximum"): (
        [{**UNIFORM, "minimum": 8}, {**UNIFORM, "minimum": "8.0"}, {**LINEAR, "minimum": 9}],
        [{**UNIFORM, "minimum": 7}, {**UNIFORM, "minimum": "4", "maximum": 11}],
    ),
    (Hyperparameter, "must have a minimum above 0 where distribution is LogUniform"): (
        [{**UNIFORM, "distribution": "LogUniform", "minimum": each} for each in (0, "0.00")],
        [{**UNIFORM, "distribution": "LogUniform", "minimum": 1}, {**UNIFORM, "name": "repeats", "minimum": 0}],
    ),
    (Hyperparameter, "must have a scale above 0"): (
        [{**EXPONENTIAL, "scale": 0}, {**EXPONENTIAL, "scale": "0.0"}],
        [{**EXPONENTIAL, "scale": "0.000001"}],
    ),
    (Hyperparameter, "must not have a value twice in values"): (
        [{**CHOICE, "values": [4, 4]}, {**CHOICE, "values": [4, 8, "4"]}],
        [{**CHOICE, "values": [4, 5]}],
    ),
    (Search, "must not name a field twice in hyperparameters"): (
        [{"hyperparameters": [UNIFORM, FIXED]}],
        [{"hyperparameters": [UNIFORM, {**UNIFORM, "name": "repeats"}]}, {"hyperparameters": []}],
    ),
    (
        MetaSearchSpec,
        "must have dataset.imageSize where search.constraints has maxMultiplyAdds, maxMemory or latency, unless the "
        "images are Omniglot's",
    ): (
        [
            {"dataset": dataset, "search": {"constraints": constraints}}
            for dataset in ({"name": "own"}, {"folder": {"path": "images"}})
            for constraints in ({"maxMultiplyAdds": 5}, {"maxMemory": "1Gi"}, {"latency": LATENCY})
        ],
        [
            {"dataset": {"name": "own"}, "search": {"constraints": {"maxParameters": 5}}},
            {"dataset": {"name": "own", "imageSize": 84}, "search": {"constraints": {"maxMemory": "1Gi"}}},
            {"dataset": {"name": "omniglot-random"}, "search": {"constraints": {"maxMultiplyAdds": 5}}},
            {"dataset": {"name": "own", "imageSize": 84}, "search": {"constraints": {"latency": LATENCY}}},
        ],
    ),
    (
        MetaSearchSpec,
        "must have the task.ways, task.shots and evaluation.shifts that search.constraints.latency was measured with: "
        "take it out and measure it anew with metasearch latency",
    ): (
        [
            *(
                {**OMNIGLOT, "search": {"constraints": {"latency": {**LATENCY, **other}}}}
                for other in ({"ways": 4}, {"shots": 2}, {"shifts": 1})
            ),
            {**OMNIGLOT, "search": {"constraints": {"latency": LATENCY}}, "task": {"ways": 6}},
            {**OMNIGLOT, "search": {"constraints": {"latency": LATENCY}}, "evaluation": {"shifts": 1}},
        ],
        [
            {**OMNIGLOT, "search": {"constraints": {"latency": LATENCY}}},
            {
                **OMNIGLOT,
                "search": {"constraints": {"latency": {**LATENCY, "ways": 6, "shots": 3, "shifts": 2}}},
                "task": {"ways": 6, "shots": 3},
                "evaluation": {"shifts": 2},
            },
        ],
    ),
}

RULE_CASES: Cases = {
    **HYPERPARAMETER_CASES,
    **learner_cases(Training),
    **learner_cases(MetaLearning),
    **settings_cases(Search, "strategy", STRATEGY_SETTINGS, "Progressive"),
    (Search, "must not name a cell twice in initial"): (
        [{"initial": [*ONE.values(), *ONE.values()]}, {"initial": [*ONE.values(), *TWO.values(), *ONE.values()]}],
        [{"initial": [*ONE.values(), *TWO.values()]}, {"initial": []}, {}],
    ),
    (MetaSearchSpec, "must have cells of at most space.maxBlocks blocks in search.initial"): (
        [
            {"dataset": {"name": "omniglot"}, "space": {"maxBlocks": 1}, "search": {"initial": list(TWO.values())}},
            {"dataset": {"name": "omniglot"}, "search": {"initial": [" | ".join(["a(-1)+b(-2)"] * 6)]}},
        ],
        [
            {"dataset": {"name": "omniglot"}, "space": {"maxBlocks": 2}, "search": {"initial": list(TWO.values())}},
            {"dataset": {"name": "omniglot"}, "search": {"initial": [" | ".join(["a(-1)+b(-2)"] * 5)]}},
            {"dataset": {"name": "omniglot"}, "search": {"initial": []}},
            {"dataset": {"name": "omniglot"}},
        ],
    ),
    (EvolutionSearchSettings, "must have a sample of at most population"): (
        [{"population": 9}, {"sample": 31}, {"population": 4, "sample": 5}],
        [{}, {"population": 10}, {"sample": 30}, {"population": 4, "sample": 4}],
    ),
    (PrototypesSettings, "must have a mergedTasks that divides metaBatchSize"): (
        [{"mergedTasks": 3}, {"metaBatchSize": 8}, {"metaBatchSize": 12, "mergedTasks": 8}],
        [{}, {"mergedTasks": 4}, {"metaBatchSize": 32}, {"metaBatchSize": 12, "mergedTasks": 6}],
    ),
    (TruncatedSettings, "must have a window of at most innerSteps"): (
        [{"window": 6}, {"innerSteps": 2, "window": 3}],
        [{"window": 5}, {"innerSteps": 1}, {"innerSteps": 3, "window": 3}],
    ),
    (Dataset, "must have exactly one of name and folder"): (
        [{}, {"name": "omniglot", "folder": {"path": "images"}}, {"name": None, "folder": None}],
        [{"name": "omniglot"}, {"folder": {"path": "images"}}, {"name": None, "folder": {"path": "images"}}],
    ),
    (Folder, "must have a relative path where claim is given"): (
        [{"path": "/images", "claim": "a"}],
        [{"path": "images", "claim": "a"}, {"path": "/images"}],
    ),
    (Space, "must not name an operation twice in operations"): (
        [{"operations": ["identity", "identity"]}, {"operations": ["identity", "conv3x3", "identity"]}],
        [{"operations": ["identity", "conv3x3"]}],
    ),
    (Space, "must have at least one cell: repeats or reductions must be 1 or more"): (
        [{"reductions": 0}, {"repeats": 0, "reductions": 0}],
        [{"repeats": 1, "reductions": 0}, {"repeats": 0, "reductions": 1}],
    ),
    (Evaluation, "must have folds only where split is Validation: no fold has a test class"): (
        [{"folds": 2, "split": "Test"}],
        [{"folds": 2}, {"folds": 2, "split": "Validation"}, {"folds": 1, "split": "Test"}, {"split": "Test"}, {}],
    ),
    (
        MetaSearchSpec,
        "must have few enough evaluation.folds that each has task.ways of Omniglot's 1,200 training and "
        "validation classes",
    ): (
        [
            {**OMNIGLOT, "evaluation": {"folds": 100}, "task": {"ways": 13}},
            {"dataset": {"name": "omniglot-random"}, "evaluation": {"folds": 13}, "task": {"ways": 93}},
        ],
        [
            OMNIGLOT,
            {**OMNIGLOT, "evaluation": {"folds": 100}},
            {**OMNIGLOT, "evaluation": {"folds": 100}, "task": {"ways": 12}},
            {"dataset": {"name": "own"}, "evaluation": {"folds": 100}, "task": {"ways": 13}},
            {"dataset": {"folder": {"path": "a"}}, "evaluation": {"folds": 100}, "task": {"ways": 13}},
        ],
    ),
    (Toleration, "must have operator Exists where key is left out"): (
        [{}, {"operator": "Equal"}, {"key": None}],
        [{"operator": "Exists"}, {"key": "a"}],
    ),
    (Toleration, "must have no value where operator is Exists"): (
        [{"key": "a", "operator": "Exists", "value": "b"}],
        [{"key": "a", "operator": "Equal", "value": "b"}, {"key": "a", "value": "b"}],
    ),
    (Toleration, "must have effect NoExecute where tolerationSeconds is given"): (
        [{"key": "a", "tolerationSeconds": 1}, {"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1}],
        [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 1}, {"key": "a", "effect": "NoExecute"}],
    ),
    (PodTemplate, "must not name a mountPath twice in volumes"): (
        [{"volumes": [HERE, HERE]}, {"volumes": [HERE, THERE, {**HERE, "claim": "b"}]}],
        [{"volumes": [HERE, THERE]}],
    ),
    (PodTemplate, "must not name two of resourceClaims alike"): (
        [{"resourceClaims": [GPU, {**GPU, "gpus": "2"}]}],
        [{"resourceClaims": [GPU, {**GPU, "name": "another"}]}],
    ),
    (
        PodTemplate,
        "must not have labels that begin with metasearch.dev/, app.kubernetes.io/, batch.kubernetes.io/, "
        "kueue.x-k8s.io/, job-name, controller-uid",
    ): (
        [
            {"labels": {key: "a"}}
            for key in ("metasearch.dev/search", "app.kubernetes.io/name", "kueue.x-k8s.io/queue-name", "job-name")
        ],
        [{"labels": {"team": "a", "example.com/cost-center": "b"}}],
    ),
    (
        PodTemplate,
        "must not have annotations that begin with metasearch.dev/, batch.kubernetes.io/, kueue.x-k8s.io/, "
        "container.apparmor.security, container.seccomp.security, seccomp.security",
    ): (
        [
            {"annotations": {"batch.kubernetes.io/job-completion-index": "1"}},
            {"annotations": {"container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"}},
        ],
        [{"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "note": "a text"}}],
    ),
    (CandidateResource, "must have hyperparameters with names such as metaStepSize"): (
        [{**ONE, "hyperparameters": {name: "1"}} for name in ("", "A", "a b", "a-b", "1a", "a\n")],
        [{**ONE, "hyperparameters": {"a": "1", "metaStepSize2": "1"}}, {**ONE, "hyperparameters": {}}, ONE],
    ),
    (MetaTrialSpec, "must have the number of the cell's blocks in blocks, and none for a baseline"): (
        [
            {**RECIPE, "candidate": ONE},
            {**RECIPE, "candidate": ONE, "blocks": 2},
            {**RECIPE, "candidate": TWO, "blocks": 1},
            {**RECIPE, "candidate": {"architecture": "Conv4"}, "stage": "Baseline", "blocks": 1},
        ],
        [
            {**RECIPE, "candidate": ONE, "blocks": 1},
            {**RECIPE, "candidate": TWO, "stage": "Final", "blocks": 2},
            {**RECIPE, "candidate": {"architecture": "Conv4"}, "stage": "Baseline"},
        ],
    ),
    (MetaTrialSpec, "must have a baseline's candidate.architecture such as Conv4, Conv4-30 or Conv4Pooled"): (
        [
            {**RECIPE, "candidate": {"architecture": text}, "stage": "Baseline"}
            for text in ("ResNet", "Conv4Matched", "Conv4-0", "Conv4-03", "Conv4-100000", "a(-1)+b(-2)")
        ],
        [
            *(
                {**RECIPE, "candidate": {"architecture": text}, "stage": "Baseline"}
                for text in ("Conv4", "Conv4-1", "Conv4-30", "Conv4-99999", "Conv4Pooled")
            ),
            {**RECIPE, "candidate": ONE, "blocks": 1},
        ],
    ),
    (Final, "must have a top of 2 to 20 where deliver is Front: one network is no front"): (
        [{"deliver": "Front", "top": 1}, {"deliver": "Front", "top": 21}],
        [
            {"deliver": "Front"},
            {"deliver": "Front", "top": 2},
            {"deliver": "Front", "top": 20},
            {"deliver": "Best", "top": 1},
            {"top": 100},
        ],
    ),
    (Final, "must not name a network twice in baselines"): (
        [{"baselines": ["Conv4", "Conv4"]}, {"baselines": ["Conv4Pooled", "Conv4", "Conv4Pooled"]}],
        [{"baselines": []}, {"baselines": ["Conv4Pooled", "Conv4"]}],
    ),
    (MetaTrialStatus, "must have a result exactly where state is Succeeded, Stopped or Failed"): (
        [{"state": "Succeeded"}, {"state": "Pending", "result": {"epoch": 0}}],
        [{"state": "Failed", "result": {"epoch": 0}}, {"state": "Pending"}],
    ),
    (
        MetaTrialStatus,
        "must have a result with score, parameterCount and multiplyAdds where Succeeded",
    ): (
        [{"state": "Succeeded", "result": MEASURED | {field: None}} for field in list(MEASURED)[1:]],
        [{"state": "Succeeded", "result": MEASURED}, {"state": "Stopped", "result": {"epoch": 0}}],
    ),
    (Storage, "must have exactly one of claim and url"): (
        [{}, {"claim": "a", "url": "s3://bucket"}],
        [{"claim": "a"}, {"url": "s3://bucket"}],
    ),
    (MetaTrialStatus, "must have a claim where state is Running"): (
        [{"state": "Running"}],
        [{"state": "Running", "claim": CLAIM}],
    ),
    (
        MetaTrialStatus,
        "must have a result with the epoch of the claim, for later claims make earlier ones void",
    ): (
        [
            {"state": "Failed", "claim": CLAIM, "result": {"epoch": 1}},
            {"state": "Failed", "claim": CLAIM, "result": {"epoch": 3}},
            {"state": "Failed", "result": {"epoch": 1}},
        ],
        [{"state": "Failed", "claim": CLAIM, "result": {"epoch": 2}}, {"state": "Failed", "result": {"epoch": 0}}],
    ),
}
"""Per model and message: the values that break the rule, and those that do not."""
