"""Names of every kind: refused before anything changes, or read back from files as they were."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import ace
from ace._checks import _storable
from ace._fssf_keys import FssfKeys
from ace._keys import AnnotationKeys
from ace.tl._pool import _labels

if TYPE_CHECKING:
    from collections.abc import Callable

ODD = [
    *("", " ", "/", "a/b", "/a", "a/", ".", "..", "a/../b", "\\", "a\\b", "a|b", "a:b"),
    *("\0", "a\0", "\ud800", "a\udfff", "\x01\n", "é", "e\u0301", "😀", "nan", "None", "0", "1.0"),
    *("_index", "index", "gene ids", "cell ids", "names", "params", "table", "group", "gene"),
    *(".zgroup", "zarr.json", "__", "obs_keys_multicol", "_scvi_uuid", "x" * 300, "é" * 120),
]
NAMES = st.sampled_from(ODD) | st.text(max_size=6)
#: Categories of any kind that pandas has.
CATEGORIES = NAMES | st.one_of(
    st.integers(), st.floats(allow_nan=False), st.booleans(), st.datetimes(),
    st.binary(max_size=3), st.tuples(st.integers(0, 3)),
    st.builds(pd.Interval, st.integers(0, 3), st.just(4)),
)  # fmt: skip
#: Functions that write under a key, each called for a column of groups.
CALLS = st.sampled_from([ace.tl.explain, ace.tl.rank_specificity, ace.tl.informative_genes])
few = settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def _tiny_data_may_warn() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def cells(groups: list[Any], genes: list[str] | None = None) -> ad.AnnData:
    """Eight cells of each group, with a gene of its own; indices that have names."""
    codes = np.tile(np.arange(len(groups)), 8)
    genes = [f"g{i}" for i in range(len(groups) + 2)] if genes is None else genes
    x = np.random.default_rng(0).exponential(size=(len(codes), len(genes)))
    x[np.arange(len(codes)), codes] += 9
    categories = pd.Index(groups, dtype=object, tupleize_cols=False).infer_objects()
    obs = pd.DataFrame({"type": pd.Categorical.from_codes(codes, categories)})
    obs["half"] = pd.Categorical(np.where(np.arange(len(obs)) < len(obs) / 2, "a", "b"))
    obs.index = pd.Index([f"c{i}" for i in range(len(obs))], name="cell ids")
    var = pd.DataFrame(index=pd.Index(genes, name="gene ids"))
    return ad.AnnData(np.log1p(x).astype(np.float32), obs=obs, var=var)


def names_of(groups: list[Any]) -> list[str]:
    """As they are in the cells: pandas makes one type of several kinds of numbers."""
    return [str(group) for group in cells(groups).obs["type"].cat.categories]


@pytest.fixture(scope="session")
def refused_or_stored(snapshot, survives_files) -> Callable[..., ad.AnnData | None]:
    """Check a call; what the object held before is left out of the files, as it may be odd."""

    def check(call: Callable[..., Any], adata: ad.AnnData, *args: Any, **kwargs: Any) -> Any:
        before, columns = snapshot(adata), set(adata.obs)
        try:
            call(adata, *args, **kwargs)
        except (ValueError, TypeError):
            assert snapshot(adata) == before
            return None
        adata.obs = adata.obs[[column for column in adata.obs if column not in columns]]
        survives_files(adata)
        return adata

    return check


@few
@example(["a/b", "B"], "rest")
@example(["", "B"], "rest")
@example(["a:b", "." * 300, "C"], "each")
@given(
    st.lists(CATEGORIES, min_size=2, max_size=3, unique=True), st.sampled_from(["rest", "each"])
)
def test_groups_of_explanations(refused_or_stored, groups, reference):
    adata = refused_or_stored(
        ace.tl.explain, cells(groups), "type", reference=reference, n_cells=5
    )
    if adata is None:
        return
    names = names_of(groups)
    found = list(dict.fromkeys(ace.get.explain_df(adata)["group"]))
    pairs = [f"{a} vs {b}" for a in names for b in names if a != b]
    assert found == (names if reference == "rest" else pairs)
    assert list(ace.get.diagnostics_df(adata)["group"]) == found


@few
@given(st.lists(CATEGORIES, min_size=2, max_size=3, unique=True))
def test_groups_of_specificity_and_information(refused_or_stored, groups):
    ranked = refused_or_stored(ace.tl.rank_specificity, cells(groups), "type", n_genes=2)
    if ranked is not None:
        df = ace.get.explain_df(ranked, key="rank_specificity")
        assert list(dict.fromkeys(df["group"])) == names_of(groups)
        assert (df.groupby("group", observed=True).size() == 2).all()
    refused_or_stored(ace.tl.informative_genes, cells(groups), "half", within="type", min_cells=2)
    refused_or_stored(ace.tl.informative_genes, cells(groups), "type", min_cells=2)


@few
@given(CALLS, st.lists(NAMES, min_size=4, max_size=4))
def test_genes(refused_or_stored, call, genes):
    adata = refused_or_stored(call, cells(["a", "b"], genes), "type", key_added="own")
    if adata is not None and call is not ace.tl.informative_genes:
        assert set(ace.get.explain_df(adata, key="own")["gene"]) == set(genes)


@few
@given(CALLS, CATEGORIES | st.none())
def test_keys(refused_or_stored, call, key):
    refused_or_stored(call, cells(["a", "b"]), "type", key_added=key)


@few
@given(CALLS, NAMES)
def test_columns(refused_or_stored, call, column):
    adata = cells(["a", "b"])
    adata.obs[column] = adata.obs["type"]
    refused_or_stored(call, adata, column)


def write_annotation(adata: ad.AnnData, key: str) -> None:
    """What ``annotate`` writes, after what it checks, without the training between."""
    keys = AnnotationKeys(_storable.key(key))
    keys.require_free(adata)
    labels = _labels(adata, "type", "Unknown", "adata")
    soft = np.tile(np.linspace(0, 1, len(labels.categories)), (adata.n_obs, 1))
    keys.write(
        adata,
        columns={keys.label: labels, keys.given: labels.codes >= 0},
        probabilities=pd.DataFrame(soft, adata.obs_names, labels.categories),
        embedding=np.ones((adata.n_obs, 2)),
        about={"params": {}, "novelty_threshold": np.nan},
    )


@few
@given(st.lists(CATEGORIES, min_size=2, max_size=3, unique=True), NAMES)
def test_labels_and_keys_of_annotations(refused_or_stored, labels, key):
    refused_or_stored(write_annotation, cells(labels), "scnym")
    adata = refused_or_stored(write_annotation, cells(["a", "b"]), key)
    assert adata is None or list(
        ace.get.annotation_df(adata, key=key)["label"].cat.categories
    ) == ["a", "b"]


def test_numbers_beside_unknown_stay_numbers(survives_files):
    adata = cells([1, "Unknown", 3])
    write_annotation(adata, "scnym")
    del adata.obs["type"]
    assert survives_files(adata).obs["scnym"].cat.categories.tolist() == [1, 3]


def test_a_majority_of_numbered_labels_is_stored(survives_files):
    labels = pd.Categorical([1, 2, 1, 1])
    vote = ace.tl._majority_vote.majority_vote(
        labels, np.array(["x", "x", "y", "y"]), np.ones(4, bool), min_prop=0.9
    )
    assert list(vote) == ["Heterogeneous", "Heterogeneous", "1", "1"]
    survives_files(ad.AnnData(obs=pd.DataFrame({"vote": vote}, index=list("abcd"))))


def test_annotate_with_odd_labels(pbmc, survives_files):
    names = ["a/b", "a:b", ".", "_index", "x" * 300, " ", "é", "e\u0301", "long" * 99, "b/"]
    atlas, query = pbmc[::2].copy(), pbmc[1::2].copy()
    atlas.obs["label"] = atlas.obs["bulk_labels"].cat.rename_categories(names)
    quick = {"reference": atlas, "n_top_genes": 50, "max_epochs": 1}
    ace.tl.annotate(query, "label", **quick)
    read = survives_files(query)
    assert list(read.uns["scnym"]["labels"]) == names
    assert read.obsm["scnym_probabilities"].shape == (query.n_obs, 10)
    atlas.obs["label"] = atlas.obs["label"].cat.rename_categories({"a/b": ""})
    query = pbmc[1::2].copy()
    with pytest.raises(
        ValueError, match=r"reference\.obs\['label'\] has an empty name.*'unnamed'"
    ):
        ace.tl.annotate(query, "label", **quick)
    with pytest.raises(TypeError, match="unlabeled_category must be a number"):
        ace.tl.annotate(query, "label", unlabeled_category=pd.Timestamp(0), **quick)


@few
@example([pd.Interval(3, 4), pd.Interval(2, 4)])
@example([(1,), (2,)])
@given(st.lists(CATEGORIES, min_size=2, max_size=3, unique=True))
def test_labels_and_batches_of_models(refused_or_stored, names):
    refused_or_stored(ace.model.KRATOS.setup_anndata, cells(names), labels_key="type")
    refused_or_stored(ace.model.ACE.setup_anndata, cells(names), batch_key="type")


@few
@given(NAMES)
def test_keys_of_fssf(refused_or_stored, key):
    def write(adata):
        keys = FssfKeys(_storable.key(key))
        keys.require_free(adata)
        keys.write(
            adata,
            subcluster=pd.Categorical(["a:0"] * adata.n_obs),
            embedding=np.ones((adata.n_obs, 2)),
            about={"pairs": pd.DataFrame({"group": ["a"]}), "genes": pd.DataFrame(), "params": {}},
        )

    refused_or_stored(write, cells(["a", "b"]))


@pytest.mark.parametrize(
    ("groups", "parts", "message"),
    [
        (["a", "a:b"], ["b:c", "c"], "not unique once they are stored"),
        (["a", "a"], [1, "1"], "not unique once they are stored"),
        (["a", "b"], ["x", "y\0"], "contains a NUL character"),
    ],
)
def test_names_of_subclusters(groups, parts, message):
    names = list(dict.fromkeys(groups))
    given = pd.Categorical(np.array(parts, dtype=object))
    codes = np.array([names.index(group) for group in groups])
    with pytest.raises(ValueError, match=message):
        ace.tl._subclusters.check_names(given, "time", codes, names)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"key_added": 3}, TypeError, r"key_added must be a name, such as 'ace', got 3 \(int\)"),
        ({"key_added": None}, TypeError, "key_added must be a name"),
        ({"key_added": "a/b"}, ValueError, "key_added must be a name of 1 to"),
        ({"key_added": "kept"}, ValueError, r"would overwrite \.uns\['kept'\], which no ranking"),
        ({"groupby": 0}, TypeError, r"must be strings, got 0.*columns\.astype\(str\)"),
        ({"random_state": 2**70}, ValueError, "random_state must be a whole number"),
        ({"n_cells": 2**70}, ValueError, "n_cells must be a positive whole number"),
        ({"n_genes": 0}, ValueError, "n_genes must be a positive whole number"),
        ({"mass": {1, 2}}, TypeError, r"option must be a number.*got \{1, 2\}"),
        ({"mass": 2**70}, ValueError, "too large to be stored"),
    ],
)
def test_messages(snapshot, arguments, error, message):
    adata = cells(["a", "b"])
    adata.obs[0], adata.uns["kept"] = adata.obs["type"], {"params": {"mine": 1}}
    before = snapshot(adata)
    with pytest.raises(error, match=message):
        ace.tl.explain(adata, **({"groupby": "type"} | arguments))
    assert snapshot(adata) == before


def test_the_fix_of_a_group_without_a_name(survives_files):
    adata = cells(["", "B"])
    with pytest.raises(ValueError, match="has an empty name") as error:
        ace.tl.explain(adata, "type")
    exec(str(error.value).split("Otherwise rename it: ")[1].rstrip("."), {"adata": adata})
    ace.tl.explain(adata, "type")
    assert survives_files(adata).uns["ace"]["names"].dtype.names == ("unnamed", "B")


def test_scanpys_ranking_may_be_replaced_and_nothing_else(snapshot):
    adata = cells(["a", "b"])
    adata.uns["rank_genes_groups"] = {"params": {}, "names": np.array([]), "scores": np.array([])}
    ace.tl.explain(adata, "type", key_added="rank_genes_groups")
    adata.varm["ace_scores"] = np.ones((adata.n_vars, 1))
    before = snapshot(adata)
    with pytest.raises(ValueError, match=r"would overwrite \.varm\['ace_scores'\]"):
        ace.tl.explain(adata, "type")
    assert snapshot(adata) == before
