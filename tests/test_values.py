"""What the values of a matrix are, told from a sample of its cells."""

from __future__ import annotations

import math

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import ace
from ace._checks import _value_checks
from ace._matrix import all_finite
from ace._values import MOST_CELLS, Values, claimed_base, describe

pytestmark = pytest.mark.filterwarnings("ignore:the scorer assigns only")


def normalised(counts, total=1e4):
    totals = np.asarray(counts.sum(1), dtype=float).ravel()
    return sp.csr_matrix(sp.diags(total / totals) @ counts.astype(float))


def logged(values, base=math.e):
    values = values.copy().astype(float)
    values.data = np.log1p(values.data) / math.log(base)
    return values


def entries(counts, function):
    counts = counts.copy().astype(float)
    counts.data = function(counts.data)
    return counts


def scaled(values, *, zero_center):
    cells = ad.AnnData(values.toarray())
    sc.pp.scale(cells, zero_center=zero_center, max_value=10)
    return cells.X


def soup(counts):
    """Subtract a tenth of each cell, in the proportions of all cells, as SoupX does."""
    share = np.asarray(counts.sum(0)).ravel() / counts.sum()
    totals = np.asarray(counts.sum(1)).ravel()
    found = counts.tocoo().astype(float)
    found.data = np.maximum(found.data - 0.1 * totals[found.row] * share[found.col], 0)
    return found.tocsr()


SHRINK = np.random.default_rng(0).uniform(0.7, 1, 1_000_000)

KINDS = {
    "counts": ("counts", lambda k: k),
    "integers": ("counts", lambda k: k.astype(np.int32)),
    "CP10k": ("normalised", normalised),
    "median total": ("normalised", lambda k: normalised(k, 650)),
    "log CP10k": ("log-normalised", lambda k: logged(normalised(k))),
    "log CPM": ("log-normalised", lambda k: logged(normalised(k, 1e6))),
    "log2": ("log-normalised", lambda k: logged(normalised(k), 2)),
    "log10": ("log-normalised", lambda k: logged(normalised(k), 10)),
    "log of corrected": ("log-normalised", lambda k: logged(normalised(soup(k)))),
    "log counts": ("log counts", logged),
    "square roots": ("unknown", lambda k: entries(k, np.sqrt)),
    "shrunk": ("decimal counts", lambda k: entries(k, lambda v: v * SHRINK[: len(v)])),
    "nine tenths": ("decimal counts", lambda k: k * 0.9),
    "corrected": ("decimal counts", soup),
    "corrected, up to 20": ("decimal counts", lambda k: soup(k).minimum(20)),
    "scaled": ("scaled", lambda k: scaled(logged(normalised(k)), zero_center=True)),
    "unit variance": ("scaled", lambda k: scaled(logged(normalised(k)), zero_center=False)),
    "binary": ("binary", lambda k: entries(k, np.sign)),
    "Boolean": ("binary", lambda k: k > 0),
}


@pytest.fixture(scope="module")
def counts(_pbmc_original):
    return sp.csr_matrix(_pbmc_original.layers["counts"])


def formats(matrix, folder):
    """The same values, however they may be stored."""
    dense = matrix.toarray() if sp.issparse(matrix) else matrix
    yield from (sp.csr_matrix(dense), sp.csc_matrix(dense), sp.csr_array(dense), dense)
    if dense.dtype.kind == "f":
        yield np.asfortranarray(dense, dtype=np.float32)
        yield np.minimum(dense, 6e4).astype(np.float16)
    for number, stored in enumerate((sp.csr_matrix(dense), sp.csc_matrix(dense), dense)):
        ad.AnnData(stored).write_h5ad(folder / f"{number}.h5ad")
        yield ad.read_h5ad(folder / f"{number}.h5ad", backed="r").X


@pytest.mark.parametrize("name", KINDS)
def test_kinds_in_every_format(name, counts, tmp_path):
    kind, make = KINDS[name]
    for matrix in formats(make(counts), tmp_path):
        assert describe(matrix).kind == kind, type(matrix)


def test_lazy_matrices(counts):
    da = pytest.importorskip("dask.array")
    dense = logged(normalised(counts)).toarray()
    assert describe(da.from_array(dense, chunks=(100, 765))).total == pytest.approx(1e4)


@pytest.mark.parametrize("n_genes", [50, 200])
@pytest.mark.parametrize("name", ["log CP10k", "log CPM", "log2", "log counts", "nine tenths"])
def test_a_selection_of_genes_is_enough(name, n_genes, counts):
    kind, make = KINDS[name]
    matrix = make(counts)
    variable = np.argsort(-np.asarray(matrix.power(2).mean(0)).ravel())[:n_genes]
    found = describe(matrix[:, np.sort(variable)])
    assert (found.kind, found.certain, found.total) == (kind, True, None)


@pytest.mark.parametrize(("base", "name"), [(math.e, "log CP10k"), (2, "log2"), (10, "log10")])
def test_total_and_base(base, name, counts):
    found = describe(KINDS[name][1](counts))
    assert found.total == pytest.approx(1e4)
    assert found.base == pytest.approx(base)
    assert describe(logged(normalised(counts), 3.0), base=3.0).base == 3.0


def test_real_cells(pbmc):
    assert describe(pbmc.X) == Values("log-normalised", True, 1e4, pytest.approx(1e4), math.e)
    assert describe(pbmc.layers["counts"]).kind == "counts"


@pytest.mark.parametrize(
    ("file", "kind", "raw"),
    [
        ("pbmc3k_processed", "scaled", "log counts"),
        ("pbmc_symphony_3chem_1200", "log-normalised", None),
        ("cellmix_3tech_10x_celseq2_dropseq", "counts", None),
    ],
)
def test_real_files(data_dir, file, kind, raw):
    adata = ad.read_h5ad(data_dir / f"{file}.h5ad")
    assert describe(adata.X).kind == kind
    assert raw is None or describe(adata.raw.X).kind == raw


@settings(max_examples=25, deadline=None)
@given(
    first=st.sampled_from(["log CP10k", "scaled", "log of corrected"]),
    second=st.sampled_from(["counts", "CP10k", "corrected", "scaled"]),
    share=st.floats(0.1, 0.9),
    at=st.floats(0, 1),
)
def test_cells_of_two_kinds_are_noticed_wherever_they_are(first, second, share, at, counts):
    if first == second:
        return
    a, b = (sp.csr_matrix(KINDS[name][1](counts)) for name in (first, second))
    size = int(share * a.shape[0])
    start = int(at * (a.shape[0] - size))
    both = sp.vstack([a[:start], b[start : start + size], a[start + size :]]).tocsr()
    found = describe(both)
    assert (found.kind, found.certain) == ("mixed", True)
    with pytest.raises(ValueError, match=r"values of different kinds: .* in rows such as \d+"):
        _value_checks.values_of(both, None)


def test_one_kind_normalised_in_two_ways(counts):
    halves = [logged(normalised(counts[:350])), logged(normalised(counts[350:], 1e6))]
    found = describe(sp.vstack(halves))
    assert (found.kind, found.total) == ("log-normalised", None)
    with pytest.warns(
        UserWarning, match=r"not normalised in the same way: .*near 1e\+04.*near 1e\+06"
    ):
        _value_checks.warn_unless_log(found, None)
    plain = describe(sp.vstack([logged(normalised(counts[:350])), logged(counts[350:])]))
    assert plain.detail.endswith("% of the cells were not normalised")


def test_few_cells_of_a_batch_are_looked_at(counts):
    many = sp.vstack([logged(normalised(counts))] * 20).tolil()
    batch = np.zeros(many.shape[0], dtype=int)
    batch[7000:7004] = 1
    many[7000:7004] = counts[:4]
    assert many.shape[0] > 20 * MOST_CELLS
    assert describe(many.tocsr(), groups=batch).kind == "mixed"


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((5, 4)), np.full((5, 4), 2.5), np.full((3, 2), np.nan), sp.csr_matrix((6, 3))],
)
def test_values_that_tell_nothing(matrix):
    found = describe(matrix)
    assert (found.kind, found.certain) == ("unknown", False)


def test_one_cell(counts):
    assert describe(counts[:1]).kind == "counts"
    assert describe(logged(normalised(counts[:1]))).kind == "log-normalised"


@pytest.mark.parametrize(
    ("noted", "base"),
    [
        ({"base": None}, None),
        ({"base": 2}, 2.0),
        ({"base": np.float64(10)}, 10.0),
        ({}, None),
        (None, None),
        ("yes", None),
        (np.array([2]), None),
        ({"base": "2"}, None),
        ({"base": True}, None),
        ({"base": -1}, None),
        ({"base": np.nan}, None),
        ({"base": np.array([2, 3])}, None),
    ],
)
def test_base_that_scanpy_noted(noted, base):
    adata = ad.AnnData(np.ones((2, 2)), layers={"other": np.ones((2, 2))})
    adata.uns["log1p"] = noted
    assert claimed_base(adata, None) == base
    assert claimed_base(adata, "other") is None


@pytest.mark.parametrize("tool", [ace.tl.explain, ace.tl.rank_specificity])
@pytest.mark.parametrize(
    ("noted", "made", "finite"),
    [(None, "log CP10k", True), ({"base": 2}, "log2", True), ({"base": 2}, "log CP10k", False)],
)
def test_fold_changes_need_the_base_that_is_noted(tool, noted, made, finite, pbmc, counts):
    pbmc.X = sp.csr_matrix(KINDS[made][1](counts), dtype=np.float32)
    pbmc.uns["log1p"] = noted
    key = "found"
    tool(pbmc, "phase", key_added=key)
    changes = pbmc.uns[key]["logfoldchanges"]["G1"]
    assert np.isfinite(changes).all() == finite
    assert pbmc.uns[key]["params"]["values"] == "log-normalised"
    assert pbmc.uns[key]["params"]["values_total"] == pytest.approx(1e4)
    if finite:  # of the means of the values, turned back by their base
        base = 2 if made == "log2" else math.e
        genes = pbmc.uns[key]["names"]["G1"]
        inside = (pbmc.obs["phase"] == "G1").to_numpy()
        x = pbmc[:, list(genes)].X
        up, down = (
            np.power(base, np.asarray(x[w].mean(0)).ravel()) - 1 for w in (inside, ~inside)
        )
        expected = np.log2((up + 1e-9) / (down + 1e-9))
        np.testing.assert_allclose(changes, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("tool", [ace.tl.explain, ace.tl.rank_specificity])
@pytest.mark.parametrize("name", ["CP10k", "corrected", "counts"])
def test_values_without_a_logarithm_are_warned_about(tool, name, pbmc, counts):
    kind, make = KINDS[name]
    pbmc.layers["other"] = make(counts)
    with pytest.warns(UserWarning, match=r"(?s)layers\['other'\] holds .*sc\.pp\.log1p\(adata\)"):
        tool(pbmc, "phase", layer="other", key_added="found")
    assert pbmc.uns["found"]["params"]["values"] == kind
    assert np.isnan(pbmc.uns["found"]["logfoldchanges"]["G1"]).all()


@pytest.mark.parametrize(
    "tool", [ace.tl.explain, ace.tl.rank_specificity, ace.tl.informative_genes]
)
def test_cells_of_two_kinds_are_refused(tool, pbmc):
    plain = pbmc.copy()
    plain.X = plain.layers["counts"].astype(np.float32)
    both = ad.concat([pbmc, plain], index_unique="-")
    keys = set(both.uns), set(both.varm), set(both.layers)
    with pytest.raises(ValueError, match=r"(?s)counts in rows such as .*normalize_total"):
        tool(both, "louvain")
    assert keys == (set(both.uns), set(both.varm), set(both.layers))


def test_informative_genes_of_any_linear_values(pbmc, counts):
    expected = ace.tl.informative_genes(pbmc, "phase", layer="counts")
    pbmc.X = normalised(counts)
    assert ace.tl.informative_genes(pbmc, "phase") == expected


@pytest.mark.parametrize("make", [lambda x: x > 0, lambda x: (x > 0).toarray()])
def test_boolean_values(make, pbmc):
    number = pbmc.copy()
    number.X = number.X > 0
    number.X = number.X.astype(np.float32)
    pbmc.X = make(pbmc.X)
    for tool in (ace.tl.explain, ace.tl.rank_specificity):
        for cells in (pbmc, number):
            tool(cells, "phase", key_added="found")
        found, expected = (a.varm["found_scores"] for a in (pbmc, number))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
        assert pbmc.uns["found"]["params"]["values"] == "binary"
    assert ace.tl.informative_genes(pbmc, "phase") == ace.tl.informative_genes(number, "phase")


def test_float16_does_not_overflow(pbmc):
    expected = ace.tl.informative_genes(pbmc, "phase")
    half = pbmc.X.toarray().astype(np.float16)
    assert half.sum(dtype=np.float64) > 65504.0
    pbmc.X = half
    assert ace.tl.informative_genes(pbmc, "phase")[:5] == expected[:5]


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from([np.float16, np.float32, np.float64, np.int32, bool]),
    bad=st.sampled_from([None, np.nan, np.inf, -np.inf]),
    sparse=st.booleans(),
    at=st.integers(0, 19),
)
def test_all_finite(dtype, bad, sparse, at):
    largest = 1 if dtype is bool else np.iinfo(dtype).max if dtype is np.int32 else None
    values = np.full(20, np.finfo(dtype).max if largest is None else largest, dtype=dtype)
    if bad is not None and np.dtype(dtype).kind == "f":
        values[at] = bad
    matrix = values.reshape(4, 5)
    if sparse and dtype is not np.float16:
        matrix = sp.csr_matrix(matrix)
    assert all_finite(matrix) == bool(np.isfinite(values).all())
    assert all_finite(matrix[:0])
