"""Checks and combination of cells before labels are transferred."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

from ace.tl._pool import Pool, pool_cells
from ace.tl._shared_genes import shared_genes, variable_genes

if TYPE_CHECKING:
    from collections.abc import Iterator

LABELS = "bulk_labels"


@contextmanager
def warns(message: str) -> Iterator[None]:
    """Expect a warning, and ignore those of anndata about pandas' options."""
    with pytest.warns(UserWarning, match=message):  # noqa: PT031 (the filter is undone after it)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def pooled(query: ad.AnnData, reference: ad.AnnData | None = None, **options) -> Pool:
    defaults = {
        "labels_key": LABELS,
        "unlabeled_category": "Unknown",
        "domain_key": (),
        "layer": None,
        "n_top_genes": None,
        "random_state": 0,
    }
    return pool_cells(query, reference, **(defaults | options))


@pytest.fixture
def two(pbmc: ad.AnnData) -> tuple[ad.AnnData, ad.AnnData]:
    """A query with its genes reversed, and a reference of other cells."""
    return pbmc[1::2, ::-1].copy(), pbmc[::2].copy()


def test_cells_of_both_by_gene_name(two):
    query, atlas = two
    query = query[:, 100:].copy()
    pool = pooled(query, atlas)
    assert pool.n_query == 350
    assert list(pool.adata.var_names) == list(query.var_names)
    assert (pool.adata.X[:350] != query.X).nnz == 0
    assert (pool.adata.X[350:] != atlas[:, query.var_names].X).nnz == 0
    assert list(pool.adata.obs[LABELS]) == ["Unknown"] * 350 + list(atlas.obs[LABELS])
    assert pool.given.isna().all()
    assert pool.adata.obs_names.is_unique
    assert list(pool.adata.obs_names[:350]) == list(query.obs_names)


def test_the_copy_is_sparse_and_independent(pbmc):
    pbmc.obs[LABELS] = pbmc.obs[LABELS].where(np.arange(700) % 2 == 0)
    pool = pooled(pbmc)
    assert sp.issparse(pool.adata.X)
    before = pbmc.X.copy()
    pool.adata.X.data[:] = 0
    assert (pbmc.X != before).nnz == 0
    dense = pbmc.copy()
    dense.X = dense.X.toarray()
    assert pooled(dense).adata.X.nnz == before.nnz


def test_blocks_of_dense_rows(two, monkeypatch):
    query, atlas = two
    query.X = query.X.toarray()
    whole = pooled(query, atlas).adata.X
    monkeypatch.setattr("ace.tl._pool.CHUNK_VALUES", 765 * 100)
    assert (pooled(query, atlas).adata.X != whole).nnz == 0


def test_same_names_in_both_objects(pbmc):
    assert pooled(pbmc, pbmc.copy()).adata.obs_names.is_unique


def test_unlabelled_cells_of_the_reference_are_left_out(two):
    query, atlas = two
    atlas.obs[LABELS] = atlas.obs[LABELS].where(np.arange(350) >= 20)
    with warns("20 cells of the reference have no label"):
        pool = pooled(query, atlas)
    assert pool.adata.n_obs == 350 + 330
    assert (pool.adata.X[350:] != atlas[20:, query.var_names].X).nnz == 0


def test_variable_genes_are_scanpys(pbmc):
    side = np.where(np.arange(700) % 2 == 0, "labelled", "unlabelled")
    pbmc.obs["side"] = pd.Categorical(side)
    wanted = sc.pp.highly_variable_genes(pbmc, n_top_genes=100, batch_key="side", inplace=False)
    chosen = pbmc.var_names[wanted["highly_variable"].to_numpy()]
    pbmc.obs[LABELS] = pbmc.obs[LABELS].where(side == "labelled")
    assert list(pooled(pbmc, n_top_genes=100).adata.var_names) == list(chosen)
    assert pooled(pbmc, n_top_genes=2000).adata.n_vars == 765


def test_small_domains_do_not_choose_genes(pbmc):
    domains = pd.Series(np.where(np.arange(700) < 3, "few", "many"), index=pbmc.obs_names)
    alone = variable_genes(pbmc.X, pd.Series("many", index=pbmc.obs_names), 100)
    np.testing.assert_array_equal(variable_genes(pbmc.X, domains, 100), alone)
    assert len(alone) == 100


def test_genes_are_chosen_on_a_sample(pbmc, monkeypatch):
    pbmc.obs[LABELS] = pbmc.obs[LABELS].where(np.arange(700) % 2 == 0)
    every = pooled(pbmc, n_top_genes=200).adata.var_names
    monkeypatch.setattr("ace.tl._pool.N_CELLS_SAMPLED", 300)
    some, again = (pooled(pbmc, n_top_genes=200) for _ in range(2))
    assert some.adata.shape == (700, 200)
    assert list(some.adata.var_names) == list(again.adata.var_names)
    assert 100 < len(set(some.adata.var_names) & set(every)) < 200


def test_duplicate_entries_are_summed(two):
    query, atlas = two
    expected = pooled(query, atlas).adata.X
    for adata in (query, atlas):
        x = adata.X.tocsr()
        adata.X = sp.csr_matrix(
            (np.repeat(x.data, 2) / 2, np.repeat(x.indices, 2), 2 * x.indptr), shape=x.shape
        )
    found = pooled(query, atlas).adata.X
    assert found.nnz == expected.nnz
    assert (found != expected).nnz == 0


def test_totals_that_differ_are_warned_about(two):
    query, atlas = two
    query.X = query.X.expm1() * 100
    query.X = sp.csr_matrix(query.X).log1p()
    with warns(r"(?s)a cell is 1e\+04 and 1e\+06\. .*normalize_total"):
        pooled(query, atlas)
    query.X = sp.csr_matrix(query.X) / np.log(2)  # the other logarithm
    with warns("totals of the reference and the query differ"):
        pooled(query, atlas)


def test_log_normalised_query_and_reference_of_counts(two):
    query, atlas = two
    query.X = query.layers["counts"]
    with pytest.raises(ValueError, match=r"(?s)query.X holds counts.*log1p\(query\)"):
        pooled(query, atlas)


def test_values_that_are_not_finite(two):
    query, atlas = two
    gene = query.var_names[query.X[10].indices[0]]
    query.X[10, query.var_names.get_loc(gene)] = np.nan
    with pytest.raises(ValueError, match=f"NaN or infinite values in 1 genes, such as .'{gene}'"):
        pooled(query, atlas)


@pytest.mark.parametrize(
    ("category", "message"), [("unknown", "'unknown'"), ("nan", "'nan'"), (" NA", "' NA'")]
)
def test_labels_that_look_missing_are_warned_about(two, category, message):
    query, atlas = two
    atlas.obs[LABELS] = atlas.obs[LABELS].cat.rename_categories({"Dendritic": category})
    with warns(f"{message}.*learned as a type.*unlabeled_category="):
        pooled(query, atlas)


def test_a_similar_category_is_suggested(pbmc):
    labels = pbmc.obs[LABELS].astype(str)
    labels[::2] = "unknown"
    pbmc.obs[LABELS] = labels
    with (
        warns("learned as a type"),
        pytest.raises(ValueError, match="Did you mean unlabeled_category='unknown'"),
    ):
        pooled(pbmc)


def test_one_label_is_too_few(two):
    query, atlas = two
    atlas = atlas[atlas.obs[LABELS] == "Dendritic"].copy()
    with pytest.raises(ValueError, match=r"has 1 labels besides 'Unknown', \['Dendritic'\]"):
        pooled(query, atlas)


def test_labels_that_coincide_when_stored(two):
    query, atlas = two
    atlas.obs[LABELS] = atlas.obs[LABELS].cat.rename_categories(
        {"Dendritic": "T/NK", "CD34+": "T|NK"}
    )
    with pytest.raises(ValueError, match="not unique once they are stored"):
        pooled(query, atlas)


def test_domains_must_be_in_both(two):
    query, atlas = two
    query.obs["site"] = "a"
    with pytest.raises(KeyError, match=r"no column 'site' in reference\.obs"):
        pooled(query, atlas, domain_key=("site",))
    atlas.obs["site"] = np.where(np.arange(350) < 3, None, "b")
    with pytest.raises(ValueError, match=r"reference.obs\['site'\].*missing for 3 cells"):
        pooled(query, atlas, domain_key=("site",))


def test_a_view_of_a_file_is_an_error(two, tmp_path):
    query, atlas = two
    atlas.write_h5ad(tmp_path / "atlas.h5ad")
    on_disk = ad.read_h5ad(tmp_path / "atlas.h5ad", backed="r")
    with pytest.raises(ValueError, match=r"reference is a view .*reference.to_memory\(\)"):
        pooled(query, on_disk[:100])
    on_disk.file.close()


# -- genes -----------------------------------------------------------------------------------


def of_genes(names: list[str], **var: list[str]) -> ad.AnnData:
    return ad.AnnData(
        np.zeros((2, len(names)), dtype=np.float32), var=pd.DataFrame(var, index=names)
    )


SYMBOLS = [f"GENE{i}" for i in range(200)]
IDS = [f"ENSG{i:011d}" for i in range(200)]


def test_genes_keep_the_order_of_the_query():
    shared = shared_genes(of_genes(SYMBOLS[150::-1]), of_genes(SYMBOLS[50:]))
    assert list(shared) == SYMBOLS[150:49:-1]


def test_warning_if_half_of_the_genes_are_left_out():
    shared_genes(of_genes(SYMBOLS), of_genes(SYMBOLS[:100]))
    with warns("share only 80 genes: 120 of the 200 genes of the query"):
        shared_genes(of_genes(SYMBOLS), of_genes(SYMBOLS[:80] + IDS[:100]))


def test_short_lists_may_be_shared():
    with warns("share only 10 genes: 190 of the 200 genes of the query"):
        assert len(shared_genes(of_genes(SYMBOLS), of_genes(SYMBOLS[:10]))) == 10
    with pytest.raises(ValueError, match="share only 4 genes by name, which is too few"):
        shared_genes(of_genes(SYMBOLS), of_genes([*SYMBOLS[:4], *IDS[:6]]))


def test_too_few_of_many_genes():
    mine, theirs = ([f"{name}{i}" for i in range(1900)] for name in ("mine", "theirs"))
    with pytest.raises(ValueError, match="share only 60 genes by name"):
        shared_genes(of_genes(SYMBOLS[:60] + mine), of_genes(SYMBOLS[:60] + theirs))


@pytest.mark.parametrize(
    ("query", "reference", "message"),
    [
        (of_genes(SYMBOLS), of_genes(IDS), "The reference has Ensembl IDs, but"),
        (of_genes(IDS), of_genes(SYMBOLS), "The query has Ensembl IDs, but"),
        (
            of_genes(IDS, symbol=SYMBOLS),
            of_genes(SYMBOLS),
            r"`query.var_names = query.var\['symbol'\].astype\(str\)`",
        ),
        (
            of_genes(SYMBOLS),
            of_genes(IDS, feature_name=SYMBOLS),
            r"reference.var\['feature_name'\] has the names of the query",
        ),
        (of_genes(SYMBOLS), of_genes([g.title() for g in SYMBOLS]), "upper and lower case"),
        (of_genes(IDS), of_genes([f"{g}.3" for g in IDS]), "without the part after the dot"),
        (of_genes(SYMBOLS), of_genes([f"x{g}" for g in SYMBOLS]), "the same kind of gene names"),
    ],
)
def test_genes_under_other_names(query, reference, message):
    with pytest.raises(ValueError, match=f"share only 0 genes by name.*The query has .*{message}"):
        shared_genes(query, reference)
