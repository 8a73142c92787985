"""Planted informative genes, with known mutual information."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.metrics import mutual_info_score

import ace

N = 400


@pytest.fixture
def cells():
    """Two cell types at two times, and 30 genes, some of which depend on time in one or both."""
    rng = np.random.default_rng(0)
    late, kind = np.arange(N) % 2 == 1, np.arange(N) // 2 % 2
    x = rng.poisson(0.8, size=(N, 30)) * rng.uniform(0.5, 1.5, size=(N, 30))
    x[:, 0] = late  # expressed or not
    x[:, 1] += 3 * (late & (kind == 0))
    x[:, 2] += 3 * (~late & (kind == 1))
    x[:, 3] = np.where(late, 1.0, 2.0)  # expressed by all cells, at different levels
    x[:, 4] = 0
    x[:, 5] = 1
    obs = pd.DataFrame(
        {
            "time": pd.Categorical(np.where(late, "E17", "E13")),
            "type": pd.Categorical(np.array(["a/b", "c"])[kind]),
        },
        index=[f"cell {i}" for i in range(N)],
    )
    var = pd.DataFrame(index=[f"g{i}" for i in range(30)])
    return ad.AnnData(sp.csr_matrix(x.astype(np.float32)), obs=obs, var=var)


def test_over_all_cells(cells):
    before = cells.copy()
    genes = ace.tl.informative_genes(cells, "time", n_genes=3)
    assert genes[:2] == ["g0", "g3"]
    assert genes[2] in ("g1", "g2")
    scores = cells.uns["informative_genes"]["scores"]["all"]
    # ln 2 for a gene that separates two groups of equal size, 0 for a constant gene.
    np.testing.assert_allclose(scores[["g0", "g3"]], np.log(2), rtol=1e-6)
    assert (scores[["g4", "g5"]] == 0).all()
    assert (scores.drop(["g0", "g1", "g2", "g3"]) < 0.03).all()
    assert list(scores.index) == list(cells.var_names)
    assert set(cells.uns) - set(before.uns) == {"informative_genes"}
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    assert (cells.X != before.X).nnz == 0


def test_within_each_type(cells):
    genes = ace.tl.informative_genes(cells, "time", within="type", n_genes=3)
    assert list(genes) == ["a/b", "c"]
    assert set(genes["a/b"]) == {"g0", "g1", "g3"}
    assert set(genes["c"]) == {"g0", "g2", "g3"}
    scores = cells.uns["informative_genes"]["scores"]
    assert list(scores.columns) == ["a|b", "c"]
    kind = cells[cells.obs["type"] == "c"].copy()
    ace.tl.informative_genes(kind, "time")
    np.testing.assert_allclose(kind.uns["informative_genes"]["scores"]["all"], scores["c"])


@pytest.mark.parametrize("n_bins", [1, 2, 5])
def test_bins_are_quantiles_of_expressing_cells(cells, n_bins):
    ace.tl.informative_genes(cells, "time", n_bins=n_bins)
    for gene in ("g1", "g2", "g10"):
        x = cells[:, gene].X.toarray().ravel()
        bins = np.zeros(N, dtype=int)
        bins[x > 0] = 1 + pd.qcut(x[x > 0], n_bins, labels=False)
        expected = mutual_info_score(bins, cells.obs["time"])
        found = cells.uns["informative_genes"]["scores"].loc[gene, "all"]
        assert found == pytest.approx(expected, abs=1e-9)


def test_without_bins(cells):
    cells = cells[:, :8].copy()
    genes = ace.tl.informative_genes(cells, "time", n_genes=2, n_bins=None)
    assert set(genes) == {"g0", "g3"}
    scores = cells.uns["informative_genes"]["scores"]["all"].copy()
    assert scores["g0"] == pytest.approx(np.log(2), abs=0.02)
    assert (scores[["g4", "g5"]] == 0).all()
    # The estimate of a gene does not depend on other genes.
    part = cells[:, ["g7", "g0"]].copy()
    ace.tl.informative_genes(part, "time", n_bins=None)
    part_scores = part.uns["informative_genes"]["scores"]["all"]
    pd.testing.assert_series_equal(part_scores, scores[["g7", "g0"]])


@pytest.mark.parametrize("kind", ["dense", "csc", "layer", "twice", "zeros"])
def test_matrix_format_does_not_matter(cells, kind):
    ace.tl.informative_genes(cells, "time", within="type")
    other = cells.copy()
    if kind == "dense":
        other.X = cells.X.toarray()
    elif kind == "csc":
        other.X = sp.csc_matrix(cells.X)
    elif kind == "twice":  # duplicate entries, which are summed
        x = cells.X
        other.X = sp.csr_matrix(
            (np.repeat(x.data, 2) / 2, np.repeat(x.indices, 2), 2 * x.indptr), shape=x.shape
        )
    elif kind == "zeros":  # explicit zeros
        rows, columns = np.indices(cells.shape).reshape(2, -1)
        other.X = sp.csr_matrix((cells.X.toarray().ravel(), (rows, columns)), cells.shape)
        assert other.X.nnz == cells.n_obs * cells.n_vars
    else:
        other.layers["log"], other.X = cells.X, None
    layer = "log" if kind == "layer" else None
    genes = ace.tl.informative_genes(other, "time", within="type", layer=layer, key_added="other")
    frames = [cells.uns["informative_genes"]["scores"], other.uns["other"]["scores"]]
    pd.testing.assert_frame_equal(*frames)
    assert genes == ace.tl.informative_genes(cells, "time", within="type")


def test_counts_are_normalised_internally(pbmc):
    one = ace.tl.informative_genes(pbmc, "phase", layer="counts", n_genes=10)
    total = pbmc.layers["counts"].sum(1)
    pbmc.layers["log"] = sp.csr_matrix(
        np.log1p(pbmc.layers["counts"].toarray() / np.asarray(total).reshape(-1, 1) * 1e4)
    )
    assert one == ace.tl.informative_genes(pbmc, "phase", layer="log", n_genes=10)
    # Genes of the cell cycle depend on the phase.
    assert {"PCNA", "TYMS", "STMN1"} & set(one)


def test_uninformative_genes_are_left_out(cells):
    genes = ace.tl.informative_genes(cells[:, ["g0", "g4", "g5"]].copy(), "time")
    assert genes == ["g0"]


def test_types_of_one_time_are_left_out(cells):
    keep = ~((cells.obs["type"] == "c") & (cells.obs["time"] == "E17"))
    keep.iloc[np.flatnonzero(~keep)[:9]] = True  # too few to count
    part = cells[keep.to_numpy()].copy()
    with pytest.warns(UserWarning, match=r"\['c'\] of adata\.obs\['type'\] have fewer than two"):
        genes = ace.tl.informative_genes(part, "time", within="type")
    assert list(genes) == ["a/b"]
    assert list(part.uns["informative_genes"]["scores"].columns) == ["a|b"]
    genes = ace.tl.informative_genes(part, "time", within="type", min_cells=9)
    assert list(genes) == ["a/b", "c"]
    early = cells[cells.obs["type"] == "c"].copy()
    with pytest.raises(ValueError, match=r"no type of adata\.obs\['type'\] has.*min_cells"):
        ace.tl.informative_genes(early, "time", within="type", min_cells=200)


def test_results_can_be_saved(cells, tmp_path):
    ace.tl.informative_genes(cells, "time", within="type")
    cells.write_h5ad(tmp_path / "cells.h5ad")
    stored = ad.read_h5ad(tmp_path / "cells.h5ad").uns["informative_genes"]
    pd.testing.assert_frame_equal(
        stored["scores"], cells.uns["informative_genes"]["scores"], check_names=False
    )
    assert stored["params"]["groupby"] == "time"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"groupby": "tim"}, KeyError, r"Did you mean 'time'"),
        ({"within": "typ"}, KeyError, r"Did you mean 'type'"),
        ({"layer": "log"}, KeyError, "no layer 'log'"),
        ({"n_genes": 0}, ValueError, "n_genes must be a positive"),
        ({"n_bins": 0}, ValueError, "n_bins must be"),
        ({"min_cells": 0}, ValueError, "min_cells must be"),
        ({"key_added": "taken"}, ValueError, r"would overwrite \.uns\['taken'\]"),
        ({"key_added": "a/b"}, ValueError, "without '/'"),
        ({"random_state": -1}, ValueError, "random_state must be"),
    ],
)
def test_errors(cells, change, error, message):
    cells.uns["taken"] = {"params": 1}
    with pytest.raises(error, match=message):
        ace.tl.informative_genes(cells, **{"groupby": "time"} | change)
    assert set(cells.uns) == {"taken"}


def test_values_that_are_not_finite(cells):
    cells.X[7, 7] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        ace.tl.informative_genes(cells, "time")
