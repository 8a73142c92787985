"""Experiment on label transfer: SCNYM, its parts left out, and other methods.

Labels are given for the cells of one domain of a data set; the cells of all others have none. A
protocol says what is done to the labelled cells: nothing, a type hidden, a tenth of the labels
replaced, or a type five times rarer. The default settings of SCNYM were chosen on one task, Kang
CTRL → STIM; nothing was chosen on any other.

Rows of scNym's own code (0.3.2) and celltypist (1.7.1) are stored; both were run in environments
of their own, on the counts of all genes, with their default settings.
"""

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.svm import LinearSVC

from ace.model import SCNYM
from benchmarks.core.data import quiet_scvi
from benchmarks.core.experiment import Entry, experiment, revision
from benchmarks.core.store import Task, Values
from benchmarks.experiments import transfer_cells as t
from benchmarks.methods import models


@dataclass(frozen=True)
class Answer:
    """What a method says about the unlabelled cells."""

    labels: np.ndarray
    probabilities: pd.DataFrame | None = None  # cells × known types
    novelty: np.ndarray | None = None  # larger: rather none of the known types
    threshold: float | None = None  # 95 % of known cells are at most so novel
    told: dict[str, float] = field(default_factory=dict)  # seconds of its own clock, ...


def answer(probabilities: pd.DataFrame, threshold: float | None = None, **told: float) -> Answer:
    """Labels are the most probable types, novelty is one minus their probability."""
    values = probabilities.to_numpy()
    labels = probabilities.columns.to_numpy()[values.argmax(1)].astype(str)
    return Answer(labels, probabilities, 1 - values.max(axis=1), threshold, told)


def judge(found: Answer, cells: t.Cells) -> Values:
    """Compare with the truth, on cells whose type some labelled cell has."""
    truth, labels = cells.truth[cells.scored], found.labels[cells.scored]
    right = labels == truth
    recall = pd.Series(right).groupby(truth).mean()
    values: Values = {
        "n_labelled": int((~cells.target).sum()),
        "n_scored": len(truth),
        "n_not_scored": int((~cells.scored).sum()),
        "accuracy": right.mean(),
        "balanced_accuracy": recall.mean(),
        "macro_f1": f1_score(truth, labels, labels=recall.index, average="macro", zero_division=0),
        **{("recall", name): value for name, value in recall.items()},
    }
    if found.probabilities is not None:
        confidence = found.probabilities.max(axis=1).to_numpy()[cells.scored]
        bins = np.minimum((confidence * t.N_BINS).astype(int), t.N_BINS - 1)
        sums = {"cells": np.ones(len(bins)), "confidence": confidence, "right": right}
        frame = pd.DataFrame(sums).astype(float).groupby(bins).sum()
        values["ece"] = (frame["confidence"] - frame["right"]).abs().sum() / len(bins)
        values |= {f"bin_{name}@{i}": frame.loc[i, name] for name in frame for i in frame.index}
    return values


def judge_novelty(found: Answer, cells: t.Cells, hidden: str) -> Values:
    """Whether cells of the hidden type are told from those of known types."""
    assert found.novelty is not None
    new, known = cells.truth == hidden, cells.scored
    chosen = new | known
    values = {
        "n_hidden": int(new.sum()),
        "n_known": int(known.sum()),
        "auroc": roc_auc_score(new[chosen], found.novelty[chosen]),
    }
    if found.threshold is not None:
        flagged = found.novelty > found.threshold
        values |= {"flagged": flagged[new].mean(), "kept": (~flagged[known]).mean()}
    return values


def scnym(
    cells: t.Cells, preset: str = "default", *, confident: bool = False, **options: Any
) -> Answer:
    """SCNYM by a preset; ``confident`` takes novelty from the confidence, as published."""
    quiet_scvi(cells.seed)
    own, asked = cells.adata.copy(), np.flatnonzero(cells.target)
    start = time.perf_counter()
    SCNYM.setup_anndata(own, labels_key=t.GIVEN, unlabeled_category=t.UNKNOWN)
    model = SCNYM(own, random_state=cells.seed)
    shared = {"enable_progress_bar": False, "accelerator": "cpu", "random_state": cells.seed}
    model.train(preset=preset, **shared, **options)
    probabilities = model.predict(indices=asked, soft=True)
    told = {"seconds": time.perf_counter() - start, "temperature": float(model.temperature_)}
    if confident:
        held_out = model.predict(indices=model.validation_indices, soft=True)
        return answer(probabilities, np.quantile(1 - held_out.max(axis=1), t.KEPT), **told)
    labels = answer(probabilities).labels
    novelty = np.asarray(model.novelty(indices=asked))
    return Answer(labels, probabilities, novelty, float(model.novelty_threshold_), told)


def _arrays(cells: t.Cells, all_genes: bool) -> tuple[Any, np.ndarray, Any]:
    x = (cells.every if all_genes else cells.adata).X
    return x[~cells.target], cells.given[~cells.target], x[cells.target]


def logistic(cells: t.Cells, *, all_genes: bool = False) -> Answer:
    """Default settings; the threshold is that of labelled cells left out of five fits."""
    x, y, asked = _arrays(cells, all_genes)
    start = time.perf_counter()
    model = LogisticRegression(max_iter=1000).fit(x, y)
    probabilities = pd.DataFrame(model.predict_proba(asked), columns=model.classes_)
    seconds = time.perf_counter() - start
    folds = StratifiedKFold(5, shuffle=True, random_state=cells.seed)
    fresh = LogisticRegression(max_iter=1000)
    left_out = cross_val_predict(fresh, x, y, cv=folds, method="predict_proba")
    threshold = float(np.quantile(1 - left_out.max(axis=1), t.KEPT))
    return answer(probabilities, threshold, seconds=seconds)


def svm(cells: t.Cells, *, all_genes: bool = False) -> Answer:
    """Default settings. It has no probabilities."""
    x, y, asked = _arrays(cells, all_genes)
    return Answer(LinearSVC().fit(x, y).predict(asked).astype(str))


def scanvi(cells: t.Cells) -> Answer:
    """Counts of the variable genes, the domain as batch; default settings."""
    given = {"layer": "counts", "batch_key": t.DOMAIN}
    start_epochs = {"max_epochs": t.SCVI_EPOCHS, "accelerator": "cpu"}
    start, _ = models.trained("SCVI", cells.adata, cells.seed, given, start_epochs)
    model = models.scanvi(start, t.GIVEN, max_epochs=t.SCANVI_EPOCHS, accelerator="cpu")
    return answer(model.predict(indices=np.flatnonzero(cells.target), soft=True))


def methods() -> dict[str, Entry]:
    of_ours = revision(t.OURS)
    found = {t.OURS: Entry(scnym, of_ours)}
    found |= {
        f"{t.OURS}, {name}": Entry(partial(scnym, preset=name), of_ours) for name in t.PRESETS
    }
    # How the published code looks for new types.
    plan = {"confidence_threshold": 0.9, "adversary_confident_only": True}
    published = partial(scnym, preset="published", confident=True, plan_kwargs=plan)
    found[t.OUR_NOVELTY] = Entry(published, of_ours)
    for name, call in ((t.LOGISTIC, logistic), (t.SVM, svm)):
        found[name] = Entry(partial(call, all_genes=True))
        found[f"{name}, variable genes"] = Entry(call)
    found["SCANVI"] = Entry(scanvi)
    return found


def timed(method: Entry, cells: t.Cells) -> tuple[Answer, float]:
    """An answer and the seconds of its labels; variable genes are chosen before."""
    _ = cells.adata
    start = time.perf_counter()
    found = method.run(cells)
    return found, found.told.get("seconds", time.perf_counter() - start)


def _run(task: Task, method: Entry, cells: t.Cells, quick: bool) -> Values:
    found, seconds = timed(method, cells)
    values = found.told | {"seconds": seconds} | judge(found, cells)
    if task.protocol.endswith("hidden") and found.novelty is not None:
        values |= judge_novelty(found, cells, task.protocol.removesuffix(" hidden"))
    return values


TRANSFER = experiment(
    "transfer",
    _run,
    methods,
    prepare=t.load,
    files=lambda data: tuple(filter(None, t.FILES[data][:1])),
)
