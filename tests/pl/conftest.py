from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from ace._keys import DIAGNOSTICS, ExplanationKeys

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
    """Give blood cells in n groups, explained by real t-test scores in the layout of ``ace``.

    The plots are tested on a known result, so that no method's numbers are tested here.
    """

    def make(n_groups: int, *, reference: str = "rest") -> AnnData:
        # Groups of equal size along an axis of the embedding: as many as wanted.
        place = np.argsort(np.argsort(pbmc.obsm["X_umap"][:, 0]))
        codes = place * n_groups // pbmc.n_obs
        names = [AWKWARD.get(i, f"cluster {i}") for i in range(n_groups)]
        pbmc.obs["cluster"] = pd.Categorical.from_codes(codes, categories=names)
        _store(pbmc, "cluster", reference=reference)
        return pbmc

    return make


def _store(adata: AnnData, groupby: str, *, reference: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanpy's own frame of many groups is "fragmented"
        sc.tl.rank_genes_groups(
            adata, groupby, method="t-test", use_raw=False, rankby_abs=True, key_added="t"
        )
    test = adata.uns.pop("t")
    groups = list(test["names"].dtype.names)
    records: dict[str, Any] = {
        k: pd.DataFrame({g: test[k][g] for g in groups})
        for k in ("names", "scores", "logfoldchanges", "pvals", "pvals_adj")
    }
    records["enriched"] = records["scores"] > 0
    records["pct_in"] = records["pct_out"] = records["scores"] * 0
    scores = {g: dict(zip(test["names"][g], test["scores"][g], strict=True)) for g in groups}
    diagnostics = pd.DataFrame(np.nan, index=groups, columns=list(DIAGNOSTICS))
    diagnostics["fidelity"] = np.linspace(0.7, 1.0, len(groups))
    diagnostics["n_cells"] = adata.obs[groupby].value_counts()[groups]
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
