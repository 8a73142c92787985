from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from ace._keys import DIAGNOSTICS, AnnotationKeys, ExplanationKeys, pair_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

AWKWARD = {
    0: "T/NK",
    1: "γδ T cells of the intestinal epithelium, naïve",
    2: "CD4+/CD45RA+/CD25- naive T cells of cord blood",
    3: "costs $5 or $6",
}


@pytest.fixture
def explained(pbmc: AnnData) -> Callable[..., AnnData]:
    """Return blood cells in n groups, explained by real t-test scores in the layout of ``ace``.

    The plots are tested on a known result, so that no method's numbers are tested here.
    """

    def make(n_groups: int, *, reference: str = "rest") -> AnnData:
        # Groups of equal size along an axis of the embedding.
        place = np.argsort(np.argsort(pbmc.obsm["X_umap"][:, 0]))
        codes = place * n_groups // pbmc.n_obs
        names = [AWKWARD.get(i, f"cluster {i}") for i in range(n_groups)]
        pbmc.obs["cluster"] = pd.Categorical.from_codes(codes, categories=names)
        _store(pbmc, "cluster", reference=reference)
        return pbmc

    return make


@pytest.fixture
def annotated(pbmc: AnnData) -> Callable[..., AnnData]:
    """Return blood cells with n labels and known values, in the layout of ``ace.tl.annotate``.

    ``obs["truth"]`` is the label of all cells but every tenth, which is labelled as the next type.
    The confidence of a cell is between 0.3 and 1, and those below 0.35 are novel.
    """

    def make(n_labels: int) -> AnnData:
        codes = np.arange(pbmc.n_obs) % n_labels
        names = [AWKWARD.get(i, f"cluster {i}") for i in range(n_labels)]
        wrong = np.arange(pbmc.n_obs) // n_labels % 10 == 9
        pbmc.obs["truth"] = pd.Categorical.from_codes(codes, categories=names)
        label = pd.Categorical.from_codes((codes + wrong) % n_labels, categories=names)
        confidence = np.linspace(0.3, 1, pbmc.n_obs).astype(np.float32)
        keys = AnnotationKeys()
        keys.write(
            pbmc,
            columns={
                keys.label: label,
                keys.given: np.zeros(pbmc.n_obs, dtype=bool),
                keys.confidence: confidence,
                keys.novelty: 1 - confidence,
                keys.novel: confidence < 0.35,
            },
            probabilities=pd.DataFrame(0.0, index=pbmc.obs_names, columns=names),
            embedding=np.zeros((pbmc.n_obs, 2)),
            about={
                "params": {"labels_key": "cell_type", "reference": True},
                "novelty_threshold": 0.65,
                "reliability": pd.DataFrame(
                    {
                        "lower": [0.0, 0.25, 0.5, 0.75],
                        "upper": [0.25, 0.5, 0.75, 1.0],
                        "confidence": [np.nan, 0.4, 0.7, 0.9],
                        "accuracy": [np.nan, 0.2, 0.8, 0.9],
                        "n_cells": [0, 10, 20, 70],
                    }
                ),
            },
        )
        return pbmc

    return make


def _t_test(adata: AnnData, groupby: str, *, reference: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanpy's own frame of many groups is "fragmented"
        sc.tl.rank_genes_groups(
            adata,
            groupby,
            method="t-test",
            use_raw=False,
            rankby_abs=True,
            reference=reference,
            key_added="t",
        )
    return adata.uns.pop("t")


def _store(adata: AnnData, groupby: str, *, reference: str) -> None:
    groups = list(adata.obs[groupby].cat.categories)
    if reference == "each":
        tests = {b: _t_test(adata, groupby, reference=b) for b in groups}
        column = {pair_name(a, b): (tests[b], a) for a in groups for b in groups if a != b}
    else:
        test = _t_test(adata, groupby, reference=reference)
        column = {g: (test, g) for g in test["names"].dtype.names}
    fields = list(column)
    source = {f: column[f][1] for f in fields}
    records: dict[str, Any] = {
        k: pd.DataFrame({f: test[k][g] for f, (test, g) in column.items()})
        for k in ("names", "scores", "logfoldchanges", "pvals", "pvals_adj")
    }
    records["enriched"] = records["scores"] > 0
    records["pct_in"] = records["pct_out"] = records["scores"] * 0
    scores = {f: dict(zip(records["names"][f], records["scores"][f], strict=True)) for f in fields}
    diagnostics = pd.DataFrame(np.nan, index=fields, columns=list(DIAGNOSTICS))
    diagnostics["fidelity"] = np.linspace(0.7, 1.0, len(fields))
    sizes = adata.obs[groupby].value_counts()
    diagnostics["n_cells"] = [sizes[source[f]] for f in fields]
    diagnostics["n_reference"] = adata.n_obs - diagnostics["n_cells"]
    diagnostics["seconds"] = 0.25
    ExplanationKeys().write(
        adata,
        params={
            "groupby": groupby,
            "reference": reference,
            "method": "panel",
            "use_raw": False,
            "layer": None,
            "corr_method": None,
        },
        records=records,
        scores=pd.DataFrame(scores).loc[adata.var_names],
        frames={"diagnostics": diagnostics},
    )
