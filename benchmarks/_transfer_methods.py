"""What labels are transferred with: SCNYM and its presets, and what it is compared with."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from _rankings import _quiet_scvi
from _results import code_key
from _transfer_data import DOMAIN, GIVEN, UNKNOWN
from _transfer_scores import Answer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.svm import LinearSVC

if TYPE_CHECKING:
    from collections.abc import Callable

    from _transfer_data import Cells

HERE = Path(__file__).parent
#: Files that an answer depends on, whoever gives it.
COMMON = ("_transfer_data.py", "_transfer_scores.py")
#: Share of known cells that a threshold of novelty keeps.
KEPT = 0.95
SCVI_EPOCHS, SCANVI_EPOCHS = 100, 20
SCNYM_EPOCHS = 100
OURS = "SCNYM"
PRESETS = ("no_adversary", "no_mixmatch", "no_teacher", "supervised", "published", "new_identity")
#: Names that scripts and tables need.
LOGISTIC, SVM, SCANVI = "logistic regression", "linear SVM", "SCANVI"
CELLTYPIST, ITS_OWN = "celltypist", "scNym, its own code"
ITS_NOVELTY = "scNym, its own code, for new types"
OUR_PUBLISHED = f"{OURS}, published, for new types"
#: How the published code looks for new types.
FOR_NEW_TYPES = {"confidence_threshold": 0.9, "adversary_confident_only": True}


@dataclass(frozen=True)
class Method:
    """How to run a method, and what it needs."""

    run: Callable[[Cells], Answer]
    code: str
    python: str | None = None  # name of the interpreter that it needs
    counts: bool = False
    random: bool = True  # depends on the seed, the cells being the same
    slow: bool = False  # once for each hidden type, not for all seeds


def methods(pythons: dict[str, str | None]) -> dict[str, Method]:
    """All that can be asked for, by name.

    Parameters
    ----------
    pythons
        Interpreters of packages with an environment of their own: ``scnym``, ``celltypist``.
    """
    ours = code_key("model", "nn", files=(*COMMON, "_transfer_methods.py"))
    theirs = code_key(files=(*COMMON, "_transfer_methods.py"))
    foreign = code_key(files=(*COMMON, "_transfer_foreign.py"))
    found = {OURS: Method(scnym, ours)}
    for preset in PRESETS:
        found[f"{OURS}, {preset}"] = Method(partial(scnym, preset=preset), ours)
    published = partial(scnym, preset="published", plan_kwargs=FOR_NEW_TYPES)
    found[OUR_PUBLISHED] = Method(published, ours, slow=True)
    found |= {
        LOGISTIC: Method(partial(logistic, all_genes=True), theirs, random=False),
        f"{LOGISTIC}, variable genes": Method(logistic, theirs, random=False),
        SVM: Method(partial(svm, all_genes=True), theirs, random=False),
        f"{SVM}, variable genes": Method(svm, theirs, random=False),
        SCANVI: Method(scanvi, theirs, counts=True),
    }
    for name, package, options in (
        (CELLTYPIST, "celltypist", {}),
        (ITS_OWN, "scnym", {"config": "no_new_identity", "epochs": SCNYM_EPOCHS}),
        (ITS_NOVELTY, "scnym", {"config": "new_identity_discovery", "epochs": SCNYM_EPOCHS}),
    ):
        call = partial(elsewhere, package=package, python=pythons.get(package), options=options)
        found[name] = Method(
            call, foreign, package, counts=True, random=package == "scnym",
            slow=package == "scnym",
        )  # fmt: skip
    return found


def timed(method: Method, cells: Cells) -> tuple[Answer, float]:
    """Give an answer and its seconds; choosing variable genes comes before."""
    _ = cells.adata
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = method.run(cells)
    return answer, answer.said.get("seconds", time.perf_counter() - start)


def scnym(cells: Cells, preset: str = "default", **options: Any) -> Answer:
    """Train by a preset, everything else as it comes."""
    from ace.model import SCNYM

    _quiet_scvi(cells.seed)
    own = cells.adata.copy()
    SCNYM.setup_anndata(own, labels_key=GIVEN, unlabeled_category=UNKNOWN)
    model = SCNYM(own, random_state=cells.seed)
    model.train(
        preset=preset, random_state=cells.seed, enable_progress_bar=False, accelerator="cpu",
        **options,
    )  # fmt: skip
    asked = np.flatnonzero(cells.target)
    probabilities = model.predict(indices=asked, soft=True)
    return Answer(
        np.asarray(model.predict(indices=asked, keep_labels=False)).astype(str),
        probabilities,
        np.asarray(model.novelty(indices=asked)),
        float(model.novelty_threshold_),
        {"temperature": float(model.temperature_)},
    )


def logistic(cells: Cells, *, all_genes: bool = False) -> Answer:
    """Default settings; novel is who is given no confidence.

    The threshold is chosen on confidence in labelled cells that were left out of five fits.
    """
    x, y, asked = _arrays(cells, all_genes=all_genes)
    start = time.perf_counter()
    model = LogisticRegression(max_iter=1000).fit(x, y)
    probabilities = pd.DataFrame(model.predict_proba(asked), columns=model.classes_)
    seconds = time.perf_counter() - start
    answer = Answer(
        model.classes_[probabilities.to_numpy().argmax(1)],
        probabilities,
        1 - probabilities.max(axis=1).to_numpy(),
        said={"seconds": seconds},
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=cells.seed)
    left_out = cross_val_predict(
        LogisticRegression(max_iter=1000), x, y, cv=folds, method="predict_proba"
    )
    threshold = float(np.quantile(1 - left_out.max(axis=1), KEPT))
    return Answer(answer.labels, answer.probabilities, answer.novelty, threshold, answer.said)


def svm(cells: Cells, *, all_genes: bool = False) -> Answer:
    """Default settings. It has no probabilities."""
    x, y, asked = _arrays(cells, all_genes=all_genes)
    return Answer(LinearSVC().fit(x, y).predict(asked).astype(str))


def scanvi(cells: Cells) -> Answer:
    """Counts of the variable genes, the domain as batch; default settings."""
    scvi = _quiet_scvi(cells.seed)
    own = cells.adata.copy()
    scvi.model.SCVI.setup_anndata(own, layer="counts", batch_key=DOMAIN)
    start = scvi.model.SCVI(own)
    start.train(max_epochs=SCVI_EPOCHS, enable_progress_bar=False, accelerator="cpu")
    model = scvi.model.SCANVI.from_scvi_model(start, labels_key=GIVEN, unlabeled_category=UNKNOWN)
    model.train(max_epochs=SCANVI_EPOCHS, enable_progress_bar=False, accelerator="cpu")
    probabilities = model.predict(indices=np.flatnonzero(cells.target), soft=True)
    labels = probabilities.columns.to_numpy()[probabilities.to_numpy().argmax(1)]
    return Answer(labels.astype(str), probabilities, 1 - probabilities.max(axis=1).to_numpy())


def elsewhere(cells: Cells, package: str, python: str | None, options: dict[str, Any]) -> Answer:
    """Run another interpreter on the counts of all genes."""
    if python is None:
        raise ValueError(f"{package} needs an interpreter of its own.")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "cells.h5ad", Path(folder) / "answer.npz"
        obs = pd.DataFrame({GIVEN: pd.Categorical(cells.given)}, cells.every.obs_names)
        ad.AnnData(cells.every.layers["counts"], obs, cells.every.var).write_h5ad(source)
        asked = json.dumps(options | {"seed": cells.seed})
        script = HERE / "_transfer_foreign.py"
        command = [python, str(script), package, str(source), str(target), asked]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{package} failed: {done.stderr.strip().splitlines()[-1:]}")
        said = json.loads(done.stdout.strip().splitlines()[-1])
        kept = dict(np.load(target, allow_pickle=False))
    table = pd.DataFrame(kept["probabilities"], index=kept["cells"], columns=kept["names"])
    probabilities = table.loc[np.flatnonzero(cells.target)]
    confidence = table.max(axis=1)
    threshold = None
    if "held_out" in kept:
        threshold = float(np.quantile(1 - confidence.loc[kept["held_out"]], KEPT))
    return Answer(
        probabilities.columns.to_numpy()[probabilities.to_numpy().argmax(1)],
        probabilities,
        1 - probabilities.max(axis=1).to_numpy(),
        threshold,
        said,
    )


def _arrays(cells: Cells, *, all_genes: bool) -> tuple[Any, np.ndarray, Any]:
    x = (cells.every if all_genes else cells.adata).X
    return x[~cells.target], cells.given[~cells.target], x[cells.target]
