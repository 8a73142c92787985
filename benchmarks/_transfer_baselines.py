"""What SCNYM is compared with: logistic regression, a linear SVM, SCANVI, other packages."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from _rankings import _quiet_scvi
from _transfer_data import DOMAIN, GIVEN, UNKNOWN
from _transfer_scores import Answer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.svm import LinearSVC

if TYPE_CHECKING:
    from _transfer_data import Cells

HERE = Path(__file__).parent
#: Share of known cells that a threshold of novelty keeps.
KEPT = 0.95
SCVI_EPOCHS, SCANVI_EPOCHS = 100, 20


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
