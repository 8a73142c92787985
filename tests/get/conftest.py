from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from ace._keys import DIAGNOSTICS, ExplanationKeys

GROUPS = ["T/NK cells", "naïve γδ T", "0"]
#: Ranked genes of each group, and their signed scores.
RANKED = {
    "T/NK cells": [("g2", -3.5), ("g0", 2.25), ("g3", 0.1), ("g1", 0.0)],
    "naïve γδ T": [("g1", 7.0), ("g3", 1.0), ("g2", -0.75), ("g0", 0.5)],
    "0": [("g0", -1.0), ("g3", 1e-7), ("g2", -1e-8), ("g1", 0.0)],
}


def store(adata: ad.AnnData, key: str = "ace") -> None:
    """Write an explanation with known values, in the layout of ``tl.explain``."""

    def record(value):
        return pd.DataFrame({g: [value(g, n, s) for n, s in RANKED[g]] for g in GROUPS})

    genes = list(adata.var_names)
    fractions = pd.DataFrame(
        np.arange(12.0).reshape(4, 3) / 12, index=pd.Index(genes), columns=GROUPS
    )
    diagnostics = pd.DataFrame(np.nan, index=GROUPS, columns=list(DIAGNOSTICS))
    diagnostics["fidelity"] = [0.95, 0.8, 1.0]
    diagnostics["n_cells"] = [30, 20, 10]
    ExplanationKeys(key).write(
        adata,
        params={
            "groupby": "cluster",
            "reference": "rest",
            "method": "panel",
            "use_raw": False,
            "layer": None,
            "corr_method": None,
        },
        records={
            "names": record(lambda g, n, s: n),
            "scores": record(lambda g, n, s: s),
            "logfoldchanges": record(lambda g, n, s: s / 3),
            "pvals": record(lambda g, n, s: np.nan),
            "pvals_adj": record(lambda g, n, s: np.nan),
            "enriched": record(lambda g, n, s: s > 0),
            "against": record(lambda g, n, s: "" if s == 0 else GROUPS[GROUPS.index(g) - 1]),
            "mixed": record(lambda g, n, s: n == "g3"),
            "pct_in": record(lambda g, n, s: fractions.loc[n, g]),
            "pct_out": record(lambda g, n, s: 1 - fractions.loc[n, g]),
        },
        scores=pd.DataFrame({g: dict(RANKED[g]) for g in GROUPS}).loc[genes],
        frames={"diagnostics": diagnostics},
    )


@pytest.fixture
def explained() -> ad.AnnData:
    """Four genes in three groups with awkward names."""
    adata = ad.AnnData(
        np.ones((6, 4), dtype=np.float32),
        obs=pd.DataFrame(
            {"cluster": pd.Categorical(GROUPS * 2, categories=GROUPS)}, index=list("abcdef")
        ),
        var=pd.DataFrame(
            {"symbol": ["NKG7", None, "", "NA"]}, index=["g0", "g1", "g2", "g3"], dtype=object
        ),
    )
    store(adata)
    return adata
