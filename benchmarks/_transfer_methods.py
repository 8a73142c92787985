"""What labels are transferred with: SCNYM and its presets, and what it is compared with."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from _rankings import _quiet_scvi
from _results import code_key
from _transfer_baselines import KEPT, elsewhere, logistic, scanvi, svm
from _transfer_data import GIVEN, UNKNOWN
from _transfer_scores import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from _transfer_data import Cells

#: Files that an answer depends on, whoever gives it.
COMMON = ("_transfer_data.py", "_transfer_scores.py")
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
    theirs = code_key(files=(*COMMON, "_transfer_baselines.py"))
    foreign = code_key(files=(*COMMON, "_transfer_foreign.py"))
    found = {OURS: Method(scnym, ours)}
    for preset in PRESETS:
        found[f"{OURS}, {preset}"] = Method(partial(scnym, preset=preset), ours)
    published = partial(scnym, preset="published", by_confidence=True, plan_kwargs=FOR_NEW_TYPES)
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
    """Give an answer and the seconds of its labels; choosing variable genes comes before."""
    _ = cells.adata
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = method.run(cells)
    return answer, answer.said.get("seconds", time.perf_counter() - start)


def scnym(
    cells: Cells, preset: str = "default", *, by_confidence: bool = False, **options: Any
) -> Answer:
    """Train by a preset, everything else as it comes.

    ``by_confidence`` takes 1 - confidence for novelty, as the published code does.
    """
    from ace.model import SCNYM

    _quiet_scvi(cells.seed)
    own = cells.adata.copy()
    asked = np.flatnonzero(cells.target)
    start = time.perf_counter()
    SCNYM.setup_anndata(own, labels_key=GIVEN, unlabeled_category=UNKNOWN)
    model = SCNYM(own, random_state=cells.seed)
    model.train(
        preset=preset, random_state=cells.seed, enable_progress_bar=False, accelerator="cpu",
        **options,
    )  # fmt: skip
    probabilities = model.predict(indices=asked, soft=True)
    seconds = time.perf_counter() - start
    novelty, threshold = np.asarray(model.novelty(indices=asked)), model.novelty_threshold_
    if by_confidence:
        held_out = model.predict(indices=model.validation_indices, soft=True)
        novelty = 1 - probabilities.max(axis=1).to_numpy()
        threshold = np.quantile(1 - held_out.max(axis=1), KEPT)
    return Answer(
        probabilities.columns.to_numpy()[probabilities.to_numpy().argmax(1)].astype(str),
        probabilities,
        novelty,
        float(threshold),
        {"seconds": seconds, "temperature": float(model.temperature_)},
    )
