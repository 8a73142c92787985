"""Specificity of genes to groups: the published score, and the stored result."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp
from scipy.spatial.distance import jensenshannon

import ace

pytestmark = pytest.mark.filterwarnings("ignore:groups of fewer than")


def _cells(means, n_cells=4, sparse=True):
    """All cells of a group are equal."""
    means = np.asarray(means, dtype=np.float32)
    groups = np.repeat(np.arange(len(means)), n_cells)
    X = means[groups]
    return ad.AnnData(
        sp.csr_matrix(X) if sparse else X,
        obs=pd.DataFrame(
            {"type": pd.Categorical([f"t{g}" for g in groups])},
            index=[f"c{i}" for i in range(len(groups))],
        ),
        var=pd.DataFrame(index=[f"g{i}" for i in range(means.shape[1])]),
    )


#: Genes of one group, of all groups, of none, of two, and higher in one.
MEANS = [[2.5, 1.5, 0.0, 1.5, 3.5], [0.0, 1.5, 0.0, 1.5, 0.5], [0.0, 1.5, 0.0, 0.0, 0.5]]


def _scores(adata, group, key="rank_specificity"):
    """Scores by gene, of the records."""
    stored = adata.uns[key]
    return pd.Series(stored["scores"][group], index=stored["names"][group])


def test_scores_are_the_published_ones():
    adata = _cells(MEANS)
    ace.tl.rank_specificity(adata, "type")
    profile = np.array(MEANS) / np.maximum(np.sum(MEANS, axis=0), 1e-12)
    for g, group in enumerate(["t0", "t1", "t2"]):
        found = _scores(adata, group)
        for gene in (0, 1, 3, 4):
            expected = 1 - jensenshannon(profile[:, gene], np.eye(3)[g], base=2)
            assert abs(found[f"g{gene}"]) == pytest.approx(expected, abs=1e-6)
        assert found["g2"] == 0
    assert _scores(adata, "t0")["g0"] == 1
    assert _scores(adata, "t1")["g0"] == 0
    # Three equal groups: H((p + e)/2) - H(p)/2 = 1.2516 - 0.7925.
    assert _scores(adata, "t0")["g1"] == pytest.approx(1 - np.sqrt(0.45915), abs=1e-4)


def test_what_is_written():
    adata = _cells(MEANS)
    before = adata.copy()
    assert ace.tl.rank_specificity(adata, "type") is None
    stored = adata.uns["rank_specificity"]
    assert list(stored["names"]["t0"]) == ["g0", "g4", "g3", "g1", "g2"]
    # t1 has a lower mean of g4 than the others, so the sign is negative.
    assert _scores(adata, "t1")["g4"] < 0 < _scores(adata, "t0")["g4"]
    df = ace.get.explain_df(adata, "t1", key="rank_specificity").set_index("gene")
    assert df.loc["g3", "enriched"]
    assert not df.loc["g4", "enriched"]
    assert list(df["pct_in"].reindex(["g0", "g1", "g3"])) == [0, 1, 1]
    assert np.isnan(stored["pvals"]["t0"]).all()
    sizes = np.abs(stored["scores"]["t1"])
    assert (np.diff(sizes) <= 0).all()
    frame = adata.varm["rank_specificity_scores"]
    assert list(frame.columns) == ["t0", "t1", "t2"]
    pd.testing.assert_series_equal(
        frame["t1"], _scores(adata, "t1").reindex(adata.var_names), check_names=False
    )
    diagnostics = ace.get.diagnostics_df(adata, key="rank_specificity")
    assert list(diagnostics["n_cells"]) == [4, 4, 4]
    assert list(diagnostics["n_reference"]) == [8, 8, 8]
    assert (adata.X != before.X).nnz == 0
    assert list(adata.obs) == ["type"]


def test_scanpy_reads_it():
    adata = ace.datasets.pbmc68k_reduced()
    ace.tl.rank_specificity(adata, "bulk_labels", groups=["CD19+ B", "CD34+"], n_genes=20)
    frame = sc.get.rank_genes_groups_df(adata, "CD19+ B", key="rank_specificity")
    assert len(frame) == 20
    assert frame["logfoldchanges"].head(10).gt(0).all()
    assert adata.uns["rank_specificity"]["names"].dtype.names == ("CD19+ B", "CD34+")
    assert adata.varm["rank_specificity_scores"].shape == (adata.n_vars, 2)


def test_genes_of_few_cells_rank_last():
    adata = ace.datasets.pbmc68k_reduced()
    ace.tl.rank_specificity(adata, "bulk_labels")
    df = ace.get.explain_df(adata, key="rank_specificity")
    assert df.loc[df["pct_in"] < 0.1, "score"].eq(0).all()
    assert df.loc[df["score"] != 0, "pct_in"].min() >= 0.1
    ace.tl.rank_specificity(adata, "bulk_labels", min_fraction=0)
    df = ace.get.explain_df(adata, key="rank_specificity")
    assert df.loc[df["rank"] <= 20, "pct_in"].min() < 0.1


@pytest.mark.parametrize("kind", ["dense", "csc", "csr"])
def test_formats_and_order_of_genes_do_not_matter(kind):
    adata = ace.datasets.pbmc68k_reduced()
    ace.tl.rank_specificity(adata, "louvain")
    names = adata.uns["rank_specificity"]["names"]
    other = adata[:, np.random.default_rng(0).permutation(adata.n_vars)].copy()
    other.X = {"dense": lambda x: x.toarray(), "csc": sp.csc_matrix, "csr": sp.csr_matrix}[kind](
        other.X
    )
    ace.tl.rank_specificity(other, "louvain")
    again = other.uns["rank_specificity"]["names"]
    for group in names.dtype.names:
        assert list(names[group]) == list(again[group])


def test_file_and_copy(tmp_path):
    adata = _cells(MEANS)
    result = ace.tl.rank_specificity(adata, "type", copy=True, key_added="specific")
    assert "specific" not in adata.uns
    path = tmp_path / "cells.h5ad"
    result.write_h5ad(path)
    read = ad.read_h5ad(path)
    assert list(read.uns["specific"]["names"]["t0"]) == list(result.uns["specific"]["names"]["t0"])
    backed = ad.read_h5ad(path, backed="r")
    ace.tl.rank_specificity(backed, "type")
    assert _scores(backed, "t0")["g0"] == 1
    with pytest.raises(ValueError, match="to_memory"):
        ace.tl.rank_specificity(backed, "type", copy=True)


def test_layer_is_read():
    adata = _cells(MEANS)
    adata.layers["other"] = _cells(np.roll(MEANS, 1, axis=0)).X
    ace.tl.rank_specificity(adata, "type", layer="other")
    assert _scores(adata, "t1")["g0"] == 1
    assert adata.uns["rank_specificity"]["params"]["layer"] == "other"


def test_errors():
    adata = _cells(MEANS)
    with pytest.raises(KeyError, match="no column 'tpye'"):
        ace.tl.rank_specificity(adata, "tpye")
    with pytest.raises(ValueError, match="groups='t9'"):
        ace.tl.rank_specificity(adata, "type", groups=["t9"])
    for wrong in (-0.1, 1.5, "half", True):
        with pytest.raises(ValueError, match="min_fraction must be a number from 0 to 1"):
            ace.tl.rank_specificity(adata, "type", min_fraction=wrong)
    with pytest.raises(ValueError, match="n_genes must be a positive"):
        ace.tl.rank_specificity(adata, "type", n_genes=0)
    scaled = adata.copy()
    scaled.X = scaled.X.toarray() - 1
    with pytest.raises(ValueError, match=r"adata\.X holds negative values"):
        ace.tl.rank_specificity(scaled, "type")
    scaled.X[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ace.tl.rank_specificity(scaled, "type")
    assert "rank_specificity" not in scaled.uns
    counts = _cells(np.rint(MEANS))
    with pytest.warns(UserWarning, match="holds counts"):
        ace.tl.rank_specificity(counts, "type")


def _groups(names):
    index = [f"c{i}" for i in range(len(names))]
    return pd.DataFrame({"group": pd.Categorical(names)}, index=index)


def test_minimum_fraction_is_inclusive_despite_rounding():
    for n_cells, n_with in ((70, 7), (10, 1), (90, 27)):
        x = np.zeros((2 * n_cells, 2), np.float32)
        x[:n_with, 0] = 1
        x[:, 1] = 1
        adata = ad.AnnData(x, obs=_groups(["a"] * n_cells + ["b"] * n_cells))
        ace.tl.rank_specificity(adata, "group", min_fraction=n_with / n_cells)
        assert adata.varm["rank_specificity_scores"]["a"].iloc[0] == 1
        above = (n_with + 0.5) / n_cells
        ace.tl.rank_specificity(adata, "group", min_fraction=np.float32(above))
        assert adata.varm["rank_specificity_scores"]["a"].iloc[0] == 0


def test_warnings_have_the_location_of_the_call():
    counts = ad.AnnData(
        np.random.default_rng(0).poisson(2.0, (40, 5)).astype(np.float32),
        obs=_groups(["a", "b"] * 20),
    )
    with pytest.warns(UserWarning, match="counts") as caught:
        ace.tl.rank_specificity(counts, "group")
    assert caught[0].filename == __file__
