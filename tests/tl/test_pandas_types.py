"""Columns of every pandas type give the same result."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import ace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData

QUIET = {"enable_progress_bar": False}

#: Conversions of a column of text to each type of pandas and anndata.
TYPES: dict[str, Callable[[pd.Series], Any]] = {
    "object": lambda s: s.astype(object),
    "string": lambda s: s.astype("string"),
    "str": lambda s: s.astype(pd.StringDtype(na_value=np.nan)),
    "category of string": lambda s: s.astype("string").astype("category"),
    "unused category": lambda s: s.astype("category").cat.add_categories(["nobody"]),
    "ordered": lambda s: s.astype("category").cat.as_ordered(),
}
MISSING = [t for t in TYPES if t != "unused category"]


@pytest.fixture(scope="module")
def _small() -> AnnData:
    adata = ace.datasets.pbmc68k_reduced()
    adata = adata[adata.obs["louvain"].isin(["0", "1", "2"]), :150].copy()
    adata.obs["type"] = ("T" + adata.obs["louvain"].astype(str)).astype("category")
    return adata


@pytest.fixture
def small(_small: AnnData) -> AnnData:
    return _small.copy()


def _as(adata: AnnData, key: str, dtype: str) -> AnnData:
    other = adata.copy()
    other.obs[key] = TYPES[dtype](adata.obs[key].astype(object))
    return other


def assert_same_result(one: AnnData, other: AnnData, key: str = "ace") -> None:
    for record in ("names", "scores", "enriched"):
        np.testing.assert_array_equal(one.uns[key][record], other.uns[key][record])
    pd.testing.assert_frame_equal(one.varm[f"{key}_scores"], other.varm[f"{key}_scores"])


@pytest.mark.filterwarnings("ignore:categories of adata", "ignore:the scorer assigns only")
@pytest.mark.parametrize("dtype", TYPES)
def test_groups_of_any_type(small: AnnData, dtype: str) -> None:
    other = _as(small, "type", dtype)
    before = other.obs.copy()
    for adata in (small, other):
        ace.tl.explain(adata, "type", n_cells=50)
        ace.tl.rank_specificity(adata, "type")
    assert_same_result(small, other)
    assert_same_result(small, other, "rank_specificity")
    pd.testing.assert_frame_equal(other.obs, before)
    assert ace.tl.informative_genes(other, "type") == ace.tl.informative_genes(small, "type")
    ax = ace.pl.heatmap(other, show=False)
    assert ax is not None


@pytest.mark.parametrize(
    "values",
    [
        pd.array([True, False], dtype="boolean"),
        pd.array([7, 12], dtype="Int64"),
        np.array([7, 12]),
        np.array([True, False]),
        np.array(["x", 12], dtype=object),
    ],
    ids=lambda v: str(v.dtype),
)
def test_groups_that_are_not_text(small: AnnData, values: Any) -> None:
    first = (small.obs["type"] == "T0").to_numpy()
    small.obs["group"] = pd.Series(values[np.where(first, 0, 1)], index=small.obs_names)
    ace.tl.explain(small, "group", n_cells=50)
    assert set(small.uns["ace"]["names"].dtype.names) == {str(v) for v in values}
    small.obs["group"] = small.obs["group"].mask(np.arange(small.n_obs) < 3)
    if pd.api.types.is_float_dtype(small.obs["group"].dtype):
        match = "measurements"
    else:
        match = r"3 cells have no group.*notna\(\)"
    before = small.copy()
    with pytest.raises(ValueError, match=match):
        ace.tl.explain(small, "group")
    pd.testing.assert_frame_equal(small.obs, before.obs)


@pytest.mark.parametrize("dtype", MISSING)
@pytest.mark.parametrize("name", ["explain", "rank_specificity", "informative_genes", "setup"])
def test_a_cell_without_a_group_is_an_error(small: AnnData, dtype: str, name: str) -> None:
    small.obs["type"] = small.obs["type"].cat.set_categories(["T0", "T1"])
    other = _as(small, "type", dtype)
    before = other.copy()
    call: Callable[..., Any] = (
        ace.model.KRATOS.setup_anndata if name == "setup" else getattr(ace.tl, name)
    )
    n_missing = int(small.obs["type"].isna().sum())
    with pytest.raises(ValueError, match=rf"{n_missing} cells"):
        call(other, "type")
    pd.testing.assert_frame_equal(other.obs, before.obs)
    assert set(other.uns) == set(before.uns)


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
@pytest.mark.parametrize("dtype", [*MISSING, "file"])
def test_models_of_labels_of_any_type(small: AnnData, dtype: str, tmp_path: Path) -> None:
    """Training, evaluation and explanation, with missing labels in the query."""

    def result(adata: AnnData, query: AnnData) -> tuple[Any, ...]:
        ace.model.KRATOS.setup_anndata(adata, "type")
        model = ace.model.KRATOS(adata, n_hidden=(16, 8), random_state=0)
        model.train(max_epochs=3, early_stopping=False, **QUIET)
        ace.tl.explain(adata, "type", model=model, n_cells=30)
        return (
            model.evaluate(query)["confusion"].to_numpy(),
            model.evaluate()["accuracy"],
            adata.uns["ace"]["names"],
            model.predict(query),
        )

    query = small[::3].copy()
    query.obs["type"] = query.obs["type"].where(np.arange(query.n_obs) % 4 > 0)
    if dtype == "file":
        other, asked = small.copy(), query.copy()
        asked.obs["type"] = asked.obs["type"].astype(object)
        asked.write_h5ad(tmp_path / "query.h5ad")
        asked = ad.read_h5ad(tmp_path / "query.h5ad")
    else:
        other, asked = _as(small, "type", dtype), _as(query, "type", dtype)
    expected, found = result(small, query), result(other, asked)
    for one, two in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("dtype", MISSING)
def test_annotate_with_labels_of_any_type(small: AnnData, dtype: str) -> None:
    small.obs["known"] = small.obs["type"].where(np.arange(small.n_obs) % 2 > 0)
    small.obs["donor"] = pd.Categorical(np.where(np.arange(small.n_obs) % 3, "a", "b"))
    other = _as(_as(_as(small, "known", dtype), "donor", dtype), "louvain", dtype)
    for adata in (small, other):
        ace.tl.annotate(
            adata,
            "known",
            domain_key="donor",
            max_epochs=2,
            over_clustering="louvain",
            validation_size=0.3,
        )
    for column in ("scnym", "scnym_majority", "scnym_given"):
        np.testing.assert_array_equal(
            small.obs[column].to_numpy(dtype=object), other.obs[column].to_numpy(dtype=object)
        )
    np.testing.assert_array_equal(
        small.obsm["scnym_probabilities"], other.obsm["scnym_probabilities"]
    )


@pytest.mark.parametrize("dtype", ["string", "str", "category of string"])
def test_scare_and_ace_with_columns_of_any_type(small: AnnData, dtype: str) -> None:
    def latent(adata: AnnData) -> list[np.ndarray]:
        ace.model.SCARE.setup_anndata(
            adata,
            layer="counts",
            batch_key="phase",
            labels_key="type",
            categorical_covariate_keys=["louvain"],
            continuous_covariate_keys=["S_score"],
        )
        scare = ace.model.SCARE(adata, n_hidden=8, n_latent=4, ground_truth="flag")
        scare.train(max_epochs=1, **QUIET)
        ace.model.ACE.setup_anndata(adata, batch_key="phase", labels_key="type")
        auto = ace.model.ACE(adata, n_hidden=(8,), n_latent=3)
        auto.train(max_epochs=2, warmup_epochs=1, **QUIET)
        ace.tl.fssf(
            adata, "type", "flag", model=scare, subclusters="phase", n_random=2, min_cells=5
        )
        table = ace.get.fssf_df(adata)["fssf"].to_numpy()
        return [scare.get_latent_representation(), auto.get_latent_representation(), table]

    small.var["flag"] = np.arange(small.n_vars) % 5 == 0
    other = small
    for key in ("phase", "type", "louvain"):
        other = _as(other, key, dtype)
    other.obs["S_score"] = other.obs["S_score"].astype("Float64")
    other.var["flag"] = other.var["flag"].astype("boolean")
    other.var.loc[other.var_names[1], "flag"] = pd.NA  # False before
    for one, two in zip(latent(small), latent(other), strict=True):
        np.testing.assert_array_equal(one, two)


FLAGS: dict[str, Callable[[pd.Series], Any]] = {
    "boolean": lambda s: s.astype("boolean").where(s, pd.NA),
    "object": lambda s: s.astype(object).where(s, None),
    "float": lambda s: s.astype(float).where(s, np.nan),
    "0 and 1": lambda s: s.astype(int),
    "category": lambda s: s.astype("category"),
}


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
@pytest.mark.parametrize("dtype", FLAGS)
def test_highly_variable_genes_of_any_type(small: AnnData, dtype: str) -> None:
    small.var["highly_variable"] = np.arange(small.n_vars) % 2 == 0
    other = small.copy()
    other.var["highly_variable"] = FLAGS[dtype](small.var["highly_variable"])
    for adata in (small, other):
        ace.tl.explain(adata, "type", n_cells=30)
    assert_same_result(small, other)
    other.var["highly_variable"] = np.where(small.var["highly_variable"], "True", "False")
    with pytest.raises(ValueError, match=r"must be Boolean.*== 'True'"):
        ace.tl.explain(other, "type")


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
@pytest.mark.parametrize("dtype", MISSING)
def test_symbols_of_any_type(small: AnnData, dtype: str) -> None:
    ace.tl.explain(small, "type", n_cells=30)
    symbols = pd.Series([f"s{i}" for i in range(small.n_vars)], index=small.var_names)
    symbols.iloc[3], symbols.iloc[4] = None, ""
    small.var["symbol"] = TYPES[dtype](symbols)
    df = ace.get.explain_df(small, "T0", gene_symbols="symbol").set_index("gene")
    assert df["symbol"][small.var_names[5]] == "s5"
    for nameless in small.var_names[3:5]:
        assert df["symbol"][nameless] == nameless


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_columns_that_are_not_groups(small: AnnData) -> None:
    small.obs["list"] = pd.Series([["a"]] * small.n_obs, index=small.obs_names)
    with pytest.raises(ValueError, match=r"cannot be labels \(list\).*astype\(str\)"):
        ace.tl.explain(small, "list")
    with pytest.raises(TypeError, match="name one column"):
        ace.tl.explain(small, ["type", "phase"])  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="Did you mean 'type'"):
        ace.tl.explain(small, "tpye")
    small.obs = pd.concat([small.obs, small.obs[["phase", "phase"]]], axis=1)
    for call in (ace.tl.explain, ace.tl.informative_genes, ace.model.KRATOS.setup_anndata):
        with pytest.raises(ValueError, match=r"3 columns named 'phase'.*duplicated"):
            call(small, "phase")
    ace.tl.explain(small, "type", n_cells=20)  # other columns may be duplicated


@pytest.mark.parametrize("name", [None, np.nan, pd.NA])
def test_genes_without_a_name(small: AnnData, name: Any) -> None:
    small.var.index = pd.Index([*small.var_names[:-1], name], dtype=object)
    with pytest.raises(ValueError, match=r"1 genes have no name.*notna\(\)"):
        ace.tl.explain(small, "type")
    with pytest.raises(ValueError, match="1 genes have no name"):
        ace.model.KRATOS.setup_anndata(small, "type")
    assert "_scvi_labels" not in small.obs


@pytest.mark.parametrize("noted", [None, "natural", [1], {"base": None}, {"base": "e"}, {}])
def test_any_record_of_log1p(small: AnnData, noted: Any) -> None:
    ace.tl.rank_specificity(small, "type", key_added="before")
    small.uns["log1p"] = noted
    ace.tl.rank_specificity(small, "type", key_added="after")
    np.testing.assert_array_equal(
        small.uns["after"]["logfoldchanges"], small.uns["before"]["logfoldchanges"]
    )


def test_labels_renamed_after_setup_are_an_error(small: AnnData) -> None:
    for cls in (ace.model.KRATOS, ace.model.SCNYM):
        adata = small.copy()
        cls.setup_anndata(adata, "type")
        untrained = cls(adata, random_state=0)
        model = cls(adata, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.train(max_epochs=1, train_size=0.5, validation_size=0.3, **QUIET)
        before = model.evaluate(split="validation")
        adata.obs["type"] = adata.obs["type"].cat.rename_categories({"T1": "B cells"})
        renamed = adata.copy()
        match = r"does not know the labels \['B cells'\] of .* cells.*rename them back"
        with pytest.raises(ValueError, match=match):
            model.evaluate()
        with pytest.raises(ValueError, match=match):
            model.get_calibration(split="validation")
        with pytest.raises(ValueError, match=match):
            model.train(max_epochs=1, **QUIET)
        with pytest.raises(ValueError, match=match):
            untrained.train(max_epochs=1, **QUIET)
        pd.testing.assert_frame_equal(adata.obs, renamed.obs)
        adata.obs["type"] = adata.obs["type"].cat.rename_categories({"B cells": "T1"})
        assert model.evaluate(split="validation")["accuracy"] == before["accuracy"]


def test_unknown_labels_of_a_query_are_missing(small: AnnData) -> None:
    """Labels of other cells are not treated as renamed ones."""
    ace.model.SCNYM.setup_anndata(small, "type")
    model = ace.model.SCNYM(small, n_hidden=16, random_state=0)
    model.train(max_epochs=1, **QUIET)
    query = small[::2].copy()
    query.obs["type"] = query.obs["type"].astype(str).replace({"T1": "new"})
    other = ace.model.SCNYM.load_query_data(query, model)
    other.train(max_epochs=1, **QUIET)
    given = (query.obs["type"] != "new").to_numpy()
    np.testing.assert_array_equal(other.predict()[given], query.obs["type"][given])


def test_messages_are_short(small: AnnData) -> None:
    small.obs["many"] = small.obs["type"].cat.add_categories([f"unused {i}" for i in range(800)])
    with pytest.warns(UserWarning, match=r"'unused 0'.*\.\.\.\] and 790 more") as caught:
        ace.tl.rank_specificity(small, "many")
    assert len(str(caught[0].message)) < 600
    wide = small.copy()
    wide.obs = pd.DataFrame(
        {f"column {i}": "a" for i in range(500)}, index=small.obs_names
    ).assign(type=small.obs["type"])
    small.obs["cell"] = small.obs_names.astype(str)
    failing: list[Callable[[], Any]] = [
        lambda: ace.tl.explain(wide, "nothing"),
        lambda: ace.tl.rank_specificity(small, "cell", groups=["nobody"]),
        lambda: ace.model.KRATOS.setup_anndata(wide, "nothing"),
        lambda: ace.tl.annotate(wide, "nothing"),
    ]
    for call in failing:
        with pytest.raises((KeyError, ValueError)) as raised:
            call()
        assert len(str(raised.value)) < 1000, str(raised.value)


def test_raw_is_never_read(small: AnnData) -> None:
    for call in (ace.tl.explain, ace.tl.rank_specificity):
        with pytest.raises(ValueError, match=r"use_raw=True.*adata\.raw\.to_adata\(\)"):
            call(small, "type", use_raw=True)
        call(small, "type", use_raw=False)


def test_annotate_names_the_object_without_the_layer(small: AnnData) -> None:
    query, reference = small[::2].copy(), small[1::2].copy()
    del query.layers["counts"]
    query.layers["log"] = query.X.copy()
    with pytest.raises(KeyError, match=r"no layer 'log' in reference; reference\.layers has"):
        ace.tl.annotate(query, "type", reference=reference, layer="log")


@pytest.fixture(scope="module")
def labelled(_small: AnnData) -> AnnData:
    adata = _small.copy()
    adata.obs["known"] = adata.obs["type"].where(np.arange(adata.n_obs) % 2 > 0)
    ace.tl.annotate(adata, "known", max_epochs=2, validation_size=0.3)
    return adata


@pytest.mark.parametrize("dtype", TYPES)
def test_labels_converted_to_strings_are_plotted(labelled: AnnData, dtype: str) -> None:
    other = _as(labelled, "scnym", dtype)
    for flag in ("scnym_given", "scnym_novel"):
        other.obs[flag] = other.obs[flag].astype("boolean")
    expected = ace.get.annotation_df(labelled)
    found = ace.get.annotation_df(other)
    assert [str(label) for label in found["label"]] == [str(label) for label in expected["label"]]
    assert found["given"].dtype == bool
    for basis in (None, "umap"):
        assert ace.pl.confidence(other, basis=basis, show=False) is not None
    texts = [
        [text.get_text() for text in ace.pl.confusion(a, "louvain", show=False).get_xticklabels()]
        for a in (labelled, other)
    ]
    assert texts[0] == texts[1]


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([(1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)], ["#ff0000ff", "#00ff00ff", "#0000ffff"]),
        (np.maximum(np.eye(4)[:3], np.eye(4)[3]), ["#ff0000ff", "#00ff00ff", "#0000ffff"]),
        ([(255, 0, 0), (0, 255, 0), (0, 0, 255)], ["#ff0000ff", "#00ff00ff", "#0000ffff"]),
        (np.array(["red", "tab:blue", "#123456"]), ["red", "tab:blue", "#123456"]),
        ({"T0": "red", "T1": "blue", "T2": "k"}, ["red", "blue", "k"]),
        (["red"], None),  # scanpy's default colours
        (["red", "no colour", "blue"], None),
        (None, None),
        ("red", None),
    ],
    ids=str,
)
def test_colours_of_any_form(small: AnnData, stored: Any, expected: Any) -> None:
    from matplotlib.colors import is_color_like, to_rgba

    from ace.pl._colors import group_colors

    ace.tl.explain(small, "type", n_cells=20)
    small.uns["type_colors"] = stored
    colors = list(group_colors(small, key="ace").values())
    assert all(is_color_like(color) for color in colors)
    if expected is not None:
        assert [to_rgba(c) for c in colors] == [to_rgba(c) for c in expected]
    assert ace.pl.heatmap(small, show=False) is not None
    assert sparse.issparse(small.X)


def test_scare_checks_columns_before_it_writes(small: AnnData) -> None:
    small.obs["list"] = pd.Series([["a"]] * small.n_obs, index=small.obs_names)
    before = small.copy()
    for options, match in (
        ({"continuous_covariate_keys": ["phase"]}, "finite numbers"),
        ({"size_factor_key": "S_score"}, "positive numbers"),
        ({"batch_key": "list"}, r"cannot be labels \(list\)"),
        ({"categorical_covariate_keys": ["list"]}, r"cannot be labels \(list\)"),
    ):
        with pytest.raises(ValueError, match=match):
            ace.model.SCARE.setup_anndata(small, layer="counts", **options)
    pd.testing.assert_frame_equal(small.obs, before.obs)
    assert set(small.obsm) == set(before.obsm)


def test_the_unlabelled_category_may_be_false(small: AnnData) -> None:
    first = np.arange(small.n_obs) % 3
    small.obs["known"] = pd.Series(first, index=small.obs_names)
    for unlabeled, values in ((0, [0, 1, 2]), ("0", ["0", "1", "2"])):
        adata = small.copy()
        adata.obs["known"] = pd.Categorical(np.array(values, dtype=object)[first])
        ace.tl.annotate(adata, "known", unlabeled_category=unlabeled, max_epochs=1)
        np.testing.assert_array_equal(adata.obs["scnym_given"], first > 0)
    small.obs["known"] = (small.obs["known"] > 0).astype("boolean")
    with pytest.raises(ValueError, match=r"1 labels besides 0, \['True'\]"):
        ace.tl.annotate(small, "known", unlabeled_category=0)


def test_base_of_the_logarithm(small: AnnData) -> None:
    from ace._values import claimed_base

    for noted in (2, 2.0, np.float32(2), np.array(2.0)):
        small.uns["log1p"] = {"base": noted}
        assert claimed_base(small, None) == 2.0
        assert claimed_base(small, "counts") is None
    for noted in (0, -1, 1, np.nan, "2", [2], None):
        small.uns["log1p"] = {"base": noted}
        assert claimed_base(small, None) is None
