"""P-values of scanpy's tests beside the scores."""

from __future__ import annotations

import numpy as np
import pytest
import scanpy as sc
from tests.tl.test_within import two_conditions

import ace

# anndata and scanpy use what pandas 3 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .* option is deprecated"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in"),
]


@pytest.mark.parametrize("test", ["wilcoxon", "t-test"])
@pytest.mark.parametrize("reference", ["rest", "1", "each"])
def test_equal_those_of_scanpy(pbmc, test, reference):
    ace.tl.explain(
        pbmc, "louvain", groups=["0", "1", "2"], reference=reference, pvals=test, n_genes=50
    )
    for field in pbmc.uns["ace"]["names"].dtype.names:
        source, _, other = field.partition(" vs ")
        sc.tl.rank_genes_groups(
            pbmc,
            "louvain",
            groups=[source],
            reference=other or reference,
            method=test,
            use_raw=False,
        )
        theirs = sc.get.rank_genes_groups_df(pbmc, source).set_index("names")
        ours = sc.get.rank_genes_groups_df(pbmc, field, key="ace").set_index("names")
        assert len(ours) == 50
        for column in ("pvals", "pvals_adj"):
            np.testing.assert_allclose(ours[column], theirs[column][ours.index], rtol=1e-10)
    found = sc.get.rank_genes_groups_df(pbmc, None, key="ace", pval_cutoff=1e-5)
    assert (found["pvals_adj"] < 1e-5).all()
    assert len(found) > 0
    assert pbmc.uns["ace"]["params"]["pvals"] == test


def test_within_categories_and_of_small_groups():
    adata = two_conditions()
    ace.tl.explain(adata, "condition", within="type", pvals="wilcoxon")
    pvals = {field: adata.uns["ace"]["pvals_adj"][field] for field in ("stim in T", "stim in B")}
    names = adata.uns["ace"]["names"]
    assert set(names["stim in T"][pvals["stim in T"] < 1e-3]) == {"g0"}
    assert set(names["stim in B"][pvals["stim in B"] < 1e-3]) == {"g0", "g1"}

    adata.obs["few"] = np.where(np.arange(adata.n_obs) == 0, "single", adata.obs["type"])
    with pytest.warns(UserWarning, match="groups of "):
        ace.tl.explain(adata, "few", pvals="t-test")
    assert np.isnan(adata.uns["ace"]["pvals"]["single"]).all()
    assert np.isfinite(adata.uns["ace"]["pvals"]["B"]).all()


def test_scaled_values(pbmc):
    pbmc.X = pbmc.X.toarray()
    sc.pp.scale(pbmc)
    ace.tl.explain(pbmc, "louvain", groups=["0"], pvals="wilcoxon")
    assert np.isfinite(pbmc.uns["ace"]["pvals"]["0"]).all()


def test_unknown_test(pbmc):
    with pytest.raises(ValueError, match="pvals=True is not one of"):
        ace.tl.explain(pbmc, "louvain", pvals=True)
