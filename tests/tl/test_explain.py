"""Explanations of real blood cells."""

from __future__ import annotations

import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

import ace
from ace.explain import Method

GROUPBY = "louvain"


@pytest.fixture(scope="module")
def _cells(_pbmc_original: ad.AnnData) -> ad.AnnData:
    adata = _pbmc_original.copy()
    sc.pp.pca(adata)
    return adata


@pytest.fixture
def cells(_cells: ad.AnnData) -> ad.AnnData:
    """Blood cells with principal components."""
    return _cells.copy()


def ranking(adata: ad.AnnData, key: str = "ace") -> pd.DataFrame:
    return pd.DataFrame(adata.uns[key]["names"])


def test_known_markers_of_real_cells(pbmc):
    # Sorted subtypes of T cells overlap.
    with pytest.warns(UserWarning, match="the scorer assigns only"):
        ace.tl.explain(pbmc, groupby="bulk_labels")
    assert 0.78 < pbmc.uns["ace"]["params"]["fidelity"] < 0.83
    top = (
        ace.get.explain_df(pbmc)
        .query("rank <= 8 and enriched")
        .groupby("group", observed=True)["gene"]
    )
    found = {group: set(genes) for group, genes in top}
    assert "CD79A" in found["CD19+ B"]
    assert {"GNLY", "NKG7", "GZMB", "PRF1"} & found["CD56+ NK"]
    assert {"S100A8", "S100A9", "LYZ", "CST3", "FCN1", "TYROBP"} & found["CD14+ Monocyte"]


def test_only_documented_keys_are_written(cells):
    before = cells.copy()
    ace.tl.explain(cells, GROUPBY)
    assert set(cells.uns) - set(before.uns) == {"ace"}
    assert set(cells.varm) - set(before.varm) == {"ace_scores"}
    assert list(cells.layers) == list(before.layers)
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    pd.testing.assert_frame_equal(cells.var, before.var)
    assert (cells.X != before.X).nnz == 0
    names = cells.uns["ace"]["names"]
    assert names.dtype.names == tuple(cells.obs[GROUPBY].cat.categories)
    for group in names.dtype.names:
        assert sorted(names[group]) == sorted(cells.var_names)
        scores = cells.uns["ace"]["scores"][group]
        assert (np.diff(np.abs(scores)) <= 0).all()
        stored = cells.varm["ace_scores"][group][names[group]]
        np.testing.assert_array_equal(stored, scores)
        changes = cells.uns["ace"]["logfoldchanges"][group]
        np.testing.assert_array_equal(cells.uns["ace"]["enriched"][group], changes > 0)
        assert np.isnan(cells.uns["ace"]["pvals"][group]).all()


def test_log_fold_changes_and_fractions_equal_those_of_scanpy(cells):
    ace.tl.explain(cells, GROUPBY)
    sc.tl.rank_genes_groups(cells, GROUPBY, method="t-test", use_raw=False, pts=True)
    for group in ranking(cells):
        ours = ace.get.explain_df(cells, group).set_index("gene")
        theirs = sc.get.rank_genes_groups_df(cells, group).set_index("names").loc[ours.index]
        np.testing.assert_allclose(
            ours["logfoldchange"], theirs["logfoldchanges"], rtol=1e-3, atol=1e-3
        )
        np.testing.assert_allclose(ours["pct_in"], theirs["pct_nz_group"], rtol=1e-6)
        np.testing.assert_allclose(ours["pct_out"], theirs["pct_nz_reference"], rtol=1e-6)


def test_same_call_same_bits_and_seeds_differ_little(cells):
    ace.tl.explain(cells, GROUPBY)
    ace.tl.explain(cells, GROUPBY, key_added="again")
    pd.testing.assert_frame_equal(cells.varm["ace_scores"], cells.varm["again_scores"])
    ace.tl.explain(cells, GROUPBY, key_added="other", random_state=1)
    shared = [
        len(set(ranking(cells)[g][:10]) & set(ranking(cells, "other")[g][:10]))
        for g in ranking(cells)
    ]
    assert np.mean(shared) >= 7


@pytest.mark.parametrize("method", list(Method.registry))
def test_every_method(cells, method):
    options = {"n_samples": 1, "max_cells": 4} if method == "shap" else {}
    chosen = ["0", "5"]
    ace.tl.explain(cells, GROUPBY, method=method, groups=chosen, n_cells=50, **options)
    assert list(ranking(cells)) == chosen
    assert cells.uns["ace"]["params"]["method"] == method
    assert cells.uns["ace"]["params"]["options"] == options


def test_order_of_genes_does_not_matter(cells):
    moved = cells[:, np.random.default_rng(0).permutation(cells.n_vars)].copy()
    ace.tl.explain(cells, GROUPBY)
    ace.tl.explain(moved, GROUPBY)
    for group in ranking(cells):
        np.testing.assert_array_equal(ranking(moved)[group][:20], ranking(cells)[group][:20])
        np.testing.assert_allclose(
            moved.varm["ace_scores"][group][cells.var_names],
            cells.varm["ace_scores"][group],
            rtol=1e-2,
            atol=1e-3,
        )


def backed(adata, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    return ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.toarray(),
        lambda x: x.tocsc(),
        sp.csr_array,
        lambda x: x.astype(np.float64),
    ],
    ids=["dense", "csc", "csr_array", "float64"],
)
def test_matrix_format_does_not_matter(cells, change):
    ace.tl.explain(cells, GROUPBY)
    other = cells.copy()
    other.X = change(sp.csr_matrix(cells.X))
    ace.tl.explain(other, GROUPBY)
    np.testing.assert_allclose(
        other.varm["ace_scores"], cells.varm["ace_scores"], rtol=1e-3, atol=1e-4
    )


def test_a_file_is_read_in_place(cells, tmp_path):
    ace.tl.explain(cells, GROUPBY)
    on_disk = backed(cells, tmp_path)
    ace.tl.explain(on_disk, GROUPBY, key_added="backed")
    assert on_disk.isbacked
    np.testing.assert_allclose(
        on_disk.varm["backed_scores"], cells.varm["ace_scores"], rtol=1e-3, atol=1e-4
    )
    on_disk.file.close()


def test_stored_components_are_used_only_if_they_fit_the_matrix(cells):
    ace.tl.explain(cells, GROUPBY)
    cells.var["highly_variable"] = np.arange(cells.n_vars) < 300
    ace.tl.explain(cells, GROUPBY, key_added="same")
    pd.testing.assert_frame_equal(cells.varm["ace_scores"], cells.varm["same_scores"])
    # Components of shuffled cells are not used: new ones are computed for the marked genes.
    cells.obsm["X_pca"] = cells.obsm["X_pca"][::-1].copy()
    unmarked = cells.var_names[300:]
    # Methods that need the gradient of the embedding rank the marked genes only.
    ace.tl.explain(cells, GROUPBY, key_added="side", method="expected_gradients")
    assert cells.varm["side_scores"].loc[unmarked].isna().all(axis=None)
    for group in ranking(cells, "side"):
        last = ranking(cells, "side")[group][300:]
        assert set(last) == set(unmarked)
        # They are ordered by their difference between the groups, not by position.
        inside = (cells.obs[GROUPBY] == group).to_numpy()
        gap = np.abs(cells[inside, last].X.mean(0) - cells[~inside, last].X.mean(0)).A1
        assert (np.diff(gap) <= 1e-6).all()


def test_components_of_masked_genes(cells):
    cells.var["highly_variable"] = np.arange(cells.n_vars) % 2 == 0
    sc.pp.pca(cells, n_comps=20, mask_var="highly_variable")
    ace.tl.explain(cells, GROUPBY, method="expected_gradients")
    assert cells.varm["ace_scores"].notna().all(axis=1).equals(cells.var["highly_variable"])
    assert cells.uns["ace"]["params"]["n_eligible"] == cells.var["highly_variable"].sum()


def test_genes_outside_the_components_are_ranked_in_a_panel(cells):
    """A marker that is not highly variable has the loading of its regression."""
    ace.tl.explain(cells, GROUPBY, key_added="all", quality=False)
    first = str(cells.uns["all"]["names"]["4"][0])
    cells.var["highly_variable"] = cells.var_names != first
    sc.pp.pca(cells, n_comps=20, mask_var="highly_variable")
    assert not cells.varm["PCs"][~cells.var["highly_variable"]].any()
    ace.tl.explain(cells, GROUPBY, quality=False)
    assert cells.varm["ace_scores"].notna().all(axis=None)
    assert first in cells.uns["ace"]["names"]["4"][:5]


def test_loadings_by_regression_are_those_of_the_components(cells):
    """For genes that are part of the components, the two are the same."""
    from ace.tl._sources._principal_components import _with_unseen

    sc.pp.pca(cells, n_comps=20)
    loadings, z = cells.varm["PCs"].astype(float), cells.obsm["X_pca"]
    half = np.arange(0, cells.n_vars, 2)
    seen, attributed, every = _with_unseen(
        cells.X, np.arange(cells.n_obs), z, loadings[half], half
    )
    assert every.tolist() == list(range(cells.n_vars))
    np.testing.assert_allclose(attributed, loadings, atol=1e-3)
    assert not seen[1::2].any()


def test_only_masked_genes_are_ranked(cells):
    cells.var["probe"] = np.arange(cells.n_vars) < 40
    ace.tl.explain(cells, GROUPBY, mask_var="probe")
    assert cells.varm["ace_scores"].notna().all(axis=1).equals(cells.var["probe"])
    assert set(cells.uns["ace"]["names"]["0"][:40]) == set(cells.var_names[:40])
    ace.tl.explain(cells, GROUPBY, mask_var=cells.var["probe"].to_numpy(), key_added="array")
    pd.testing.assert_frame_equal(cells.varm["ace_scores"], cells.varm["array_scores"])
    with pytest.raises(ValueError, match="mask_var has 2 values, but adata has"):
        ace.tl.explain(cells, GROUPBY, mask_var=[True, False])
    with pytest.raises(ValueError, match="False for all"):
        ace.tl.explain(cells, GROUPBY, mask_var=np.zeros(cells.n_vars, dtype=bool))
    with pytest.raises(KeyError, match="probes"):
        ace.tl.explain(cells, GROUPBY, mask_var="probes")


def test_a_panel_has_only_genes_of_the_mask(cells):
    """Also if there are fewer of them than panels could have."""
    cells.var["probe"] = np.arange(cells.n_vars) < 7
    ace.tl.explain(cells, GROUPBY, mask_var="probe")
    probes = set(cells.var_names[:7])
    assert ace.get.panel_quality_df(cells)["n_genes"].max() <= 7
    assert ace.get.diagnostics_df(cells)["panel_size"].max() <= 7
    assert all(set(genes) <= probes for genes in ace.get.panel_dict(cells).values())
    for rule in ace.get.rules_df(cells)["rule"]:
        assert {condition.split(" ")[0] for condition in rule.split(" and ")} <= probes


def test_cells_have_attributions_for_genes_outside_the_components(cells):
    ace.tl.explain(cells, GROUPBY, key_added="all", quality=False)
    first = str(cells.uns["all"]["names"]["4"][0])
    cells.var["highly_variable"] = cells.var_names != first
    sc.pp.pca(cells, n_comps=20, mask_var="highly_variable")
    ace.tl.explain(cells, GROUPBY, groups=["4"], per_cell=True, quality=False)
    own = cells[cells.obs[GROUPBY] == "4", first].layers["ace_cells"]
    mean = np.asarray(own.toarray() if sp.issparse(own) else own).mean()
    assert mean * cells.varm["ace_scores"]["4"][first] > 0


@pytest.mark.parametrize("method", ["panel", "saliency"])
def test_genes_of_one_direction(cells, method):
    ace.tl.explain(cells, GROUPBY, method=method)
    both = ace.get.explain_df(cells)
    for direction in ("enriched", "depleted"):
        ace.tl.explain(cells, GROUPBY, method=method, direction=direction)
        found = ace.get.explain_df(cells)
        ranked = found[found["score"].notna()]
        assert (ranked["enriched"] == (direction == "enriched")).all()
        assert len(ranked) == (both["enriched"] == (direction == "enriched")).sum()
        assert cells.uns["ace"]["params"]["direction"] == direction
    with pytest.raises(ValueError, match="direction='up' is not one of"):
        ace.tl.explain(cells, GROUPBY, direction="up")


def test_genes_that_are_included_come_first(cells):
    last = [str(gene) for gene in cells.var_names[-2:]]
    ace.tl.explain(cells, GROUPBY, groups=["4"], include=last)
    names = cells.uns["ace"]["names"]["4"]
    assert names[:2].tolist() == last
    assert np.isfinite(cells.uns["ace"]["scores"]["4"]).all()
    assert cells.uns["ace"]["params"]["options"] == {"include": last}
    with pytest.raises(ValueError, match=r"not part of the explanation: \['nothing'\]"):
        ace.tl.explain(cells, GROUPBY, include=["nothing"])


def test_quality_of_panels(cells):
    ace.tl.explain(cells, GROUPBY)
    df = ace.get.panel_quality_df(cells)
    assert list(df["group"].cat.categories) == list(cells.obs[GROUPBY].cat.categories)
    assert df["auroc"].between(0.3, 1).all()
    assert set(df["against"]) <= set(cells.obs[GROUPBY].cat.categories)
    best = df.groupby("group", observed=True)["auroc"].max()
    assert best.mean() > 0.95
    sizes = ace.get.diagnostics_df(cells).set_index("group")["panel_size"]
    in_panel = ace.get.explain_df(cells).groupby("group", observed=True)["in_panel"].sum()
    assert in_panel.tolist() == sizes.tolist()
    # The ranking does not depend on it.
    ace.tl.explain(cells, GROUPBY, key_added="without", quality=False)
    pd.testing.assert_frame_equal(cells.varm["ace_scores"], cells.varm["without_scores"])
    assert ace.get.explain_df(cells, key="without")["in_panel"].isna().all()
    with pytest.raises(KeyError, match=r"'without' has no quality. Run .*quality=True"):
        ace.get.panel_quality_df(cells, key="without")


def test_rules_in_words(cells):
    ace.tl.explain(cells, GROUPBY)
    rules = ace.get.rules_df(cells)
    assert set(rules["group"]) <= set(cells.obs[GROUPBY].cat.categories)
    assert rules["n_genes"].between(1, 3).all()
    assert rules["precision"].mean() > 0.8
    assert rules["recall"].between(0, 1).all()
    # The rule selects these cells.
    row = rules.set_index("group").loc["10"]
    chosen = np.ones(cells.n_obs, dtype=bool)
    for condition in row["rule"].split(" and "):
        gene, sign, threshold = condition.split(" ")
        assert gene in ace.get.panel_dict(cells, n_genes=8)["10"]
        above = cells[:, gene].X.toarray().ravel() > float(threshold)
        chosen &= above if sign == ">" else ~above
    assert (cells.obs[GROUPBY] == "10")[chosen].mean() > 0.9
    again = ace.get.rules_df(cells, ["10"])
    assert again["rule"].tolist() == [row["rule"]]


def test_quality_of_another_method(cells):
    ace.tl.explain(cells, GROUPBY, groups=["4"], method="expected_gradients", quality=True)
    df = ace.get.panel_quality_df(cells, "4")
    assert df["n_genes"].is_monotonic_increasing
    assert df["auroc"].iloc[-1] > 0.95


def test_random_groups_have_no_panel(cells):
    labels = np.random.default_rng(0).choice(["a", "b"], cells.n_obs)
    cells.obs["random"] = pd.Categorical(labels)
    with pytest.warns(UserWarning, match="the scorer assigns only"):
        ace.tl.explain(cells, "random")
    diagnostics = ace.get.diagnostics_df(cells)
    assert diagnostics["panel_size"].tolist() == [0, 0]
    error = np.sqrt(0.25 / cells.n_obs)
    assert abs(cells.uns["ace"]["params"]["fidelity"] - 0.5) < 3 * error
    assert not ace.get.explain_df(cells)["in_panel"].any()
    assert ace.get.panel_dict(cells) == {}


def test_reference_is_a_group_or_each(cells):
    ace.tl.explain(cells, GROUPBY, groups=["0", "1", "2"], reference="1")
    assert list(ranking(cells)) == ["0", "2"]
    assert (
        cells.uns["ace"]["diagnostics"]["n_reference"] == (cells.obs[GROUPBY] == "1").sum()
    ).all()
    ace.tl.explain(cells, GROUPBY, groups=["0", "1", "2"], reference="each", key_added="each")
    assert list(ranking(cells, "each")) == [f"{a} vs {b}" for a in "012" for b in "012" if a != b]
    np.testing.assert_array_equal(ranking(cells, "each")["0 vs 1"], ranking(cells)["0"])


def test_a_group_does_not_depend_on_other_groups(cells):
    ace.tl.explain(cells, GROUPBY)
    ace.tl.explain(cells, GROUPBY, groups=["3"], key_added="one")
    np.testing.assert_array_equal(ranking(cells)["3"], ranking(cells, "one")["3"])


def test_cost_is_bounded_by_n_cells(cells):
    ace.tl.explain(cells, GROUPBY, n_cells=20)
    assert (cells.uns["ace"]["diagnostics"]["n_cells"] <= 20).all()


def test_per_cell(cells):
    ace.tl.explain(cells, GROUPBY, per_cell=True, n_cells=10, method="integrated_gradients")
    layer = cells.layers["ace_cells"]
    assert layer.shape == cells.shape
    drawn = cells.obs["ace_explained"]
    sizes = np.minimum(cells.obs[GROUPBY].value_counts(), 10)
    assert (drawn.groupby(cells.obs[GROUPBY], observed=True).sum() == sizes).all()
    np.testing.assert_array_equal(np.diff(layer.indptr) > 0, drawn)
    ace.tl.explain(cells, GROUPBY)
    assert "ace_cells" not in cells.layers
    assert "ace_explained" not in cells.obs


def test_copy(cells):
    other = ace.tl.explain(cells, GROUPBY, copy=True)
    assert "ace" in other.uns
    assert "ace" not in cells.uns
    assert "ace_scores" not in cells.varm


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_results_with_unusual_names_can_be_saved(cells, tmp_path, suffix):
    cells.obs["type"] = cells.obs[GROUPBY].cat.rename_categories(
        {"0": "T/NK", "1": "γδ T (naïve)", "2": "a  b"}
    )
    ace.tl.explain(cells, "type")
    path = tmp_path / f"cells.{suffix}"
    if suffix == "h5ad":
        cells.write_h5ad(path)
        again = ad.read_h5ad(path)
    else:
        cells.write_zarr(path)
        again = ad.read_zarr(path)
    pd.testing.assert_frame_equal(ace.get.explain_df(cells), ace.get.explain_df(again))
    pd.testing.assert_frame_equal(
        again.varm["ace_scores"], cells.varm["ace_scores"], check_names=False
    )
    assert again.varm["ace_scores"].columns[0] == "T|NK"
    assert again.uns["ace"]["params"]["method"] == "panel"


def test_numbers_and_flags_as_groups(cells):
    cells.obs["number"] = cells.obs[GROUPBY].astype(int)
    cells.obs["flag"] = cells.obs["number"] == 0
    ace.tl.explain(cells, "number")
    assert list(ranking(cells)) == [str(i) for i in range(11)]
    ace.tl.explain(cells, "flag")
    assert list(ranking(cells)) == ["False", "True"]


def test_scaled_values_have_no_fold_changes(cells):
    cells.X = cells.X.toarray()
    sc.pp.scale(cells, max_value=10)
    sc.pp.pca(cells, n_comps=20)
    ace.tl.explain(cells, GROUPBY)
    assert np.isnan(cells.uns["ace"]["logfoldchanges"]["0"]).all()
    assert cells.uns["ace"]["params"]["values"] == "scaled"


def test_through_a_model(pbmc):
    ace.model.KRATOS.setup_anndata(pbmc, labels_key="bulk_labels")
    model = ace.model.KRATOS(pbmc)
    model.train(max_epochs=20, enable_progress_bar=False)
    shuffled = pbmc[:, np.random.default_rng(0).permutation(pbmc.n_vars)].copy()
    ace.tl.explain(pbmc, "bulk_labels", model=model)
    ace.tl.explain(shuffled, "bulk_labels", model=model)
    for group in ranking(pbmc):
        np.testing.assert_allclose(
            shuffled.varm["ace_scores"][group.replace("/", "|")][pbmc.var_names],
            pbmc.varm["ace_scores"][group.replace("/", "|")],
            atol=1e-3,
        )
    assert pbmc.uns["ace"]["params"]["embedding"] == "KRATOS"
    # Other groups are explained through the latent space of the model.
    with pytest.warns(UserWarning, match="of the cells to their own group"):
        ace.tl.explain(pbmc, "louvain", model=model, key_added="other")
    assert list(ranking(pbmc, "other")) == list(pbmc.obs["louvain"].cat.categories)


@pytest.mark.filterwarnings("ignore:groups of fewer than")
def test_unlabelled_cells_are_not_a_group(pbmc):
    pbmc.obs["known"] = pbmc.obs["bulk_labels"].astype(str)
    pbmc.obs.loc[pbmc.obs_names[::5], "known"] = "Unknown"
    ace.model.KRATOS.setup_anndata(pbmc, labels_key="known", unlabeled_category="Unknown")
    model = ace.model.KRATOS(pbmc)
    model.train(max_epochs=15, enable_progress_bar=False)
    ace.tl.explain(pbmc, "known", model=model)
    assert "Unknown" not in ranking(pbmc)
    assert pbmc.uns["ace"]["params"]["scorer"] == "ClassifierScorer"
    labelled = pbmc.obs["known"] != "Unknown"
    assert pbmc.uns["ace"]["diagnostics"]["n_cells"].sum() == labelled.sum()


def test_warnings_have_the_location_of_the_call(cells):
    with pytest.warns(UserWarning, match="holds counts") as record:
        ace.tl.explain(cells, GROUPBY, layer="counts")
    assert {str(w.filename) for w in record} == {__file__}


def test_a_view_is_copied(cells):
    view = cells[cells.obs[GROUPBY].isin(["0", "1", "2"])]
    with pytest.warns(ad.ImplicitModificationWarning):
        ace.tl.explain(view, GROUPBY)
    assert list(ranking(view)) == ["0", "1", "2"]
    assert "ace" not in cells.uns


def test_log_contains_the_keys_written(cells, caplog):
    with caplog.at_level("INFO", logger="ace"):
        ace.tl.explain(cells, GROUPBY)
    assert ".uns['ace'], .varm['ace_scores']" in caplog.text


@pytest.mark.parametrize("verbosity", [1, 2])
def test_messages_follow_the_verbosity_of_scanpy(cells, capsys, verbosity):
    before = sc.settings.verbosity, sc.settings.logfile
    try:
        sc.settings.verbosity, sc.settings.logfile = verbosity, sys.stderr
        ace.tl.explain(cells, GROUPBY, groups="0")
    finally:
        sc.settings.verbosity, sc.settings.logfile = before
    assert ("explained 1 comparisons" in capsys.readouterr().err) == (verbosity > 1)


def test_progress_bar_on_request(cells, capsys):
    ace.tl.explain(cells, GROUPBY, progress=True)
    shown = capsys.readouterr()
    assert "Explaining groups" in shown.out + shown.err


def one_cell_group(adata):
    adata.obs["few"] = np.where(
        np.arange(adata.n_obs) == 0, "single", adata.obs[GROUPBY].astype(str)
    )


def test_a_group_of_one_cell_is_explained_with_a_warning(cells):
    one_cell_group(cells)
    with pytest.warns(UserWarning, match=r"fewer than 8 cells: \['single \(1\)'\]"):
        ace.tl.explain(cells, "few")
    assert np.isfinite(cells.varm["ace_scores"].to_numpy()).all()
    # No warning if it is not explained (warnings are errors here).
    other = next(name for name in cells.obs["few"].unique() if name != "single")
    ace.tl.explain(cells, "few", groups=[other])


@pytest.mark.filterwarnings("ignore:the scorer assigns most cells")
def test_groups_of_few_cells_are_named_in_one_warning(cells):
    rows = {"one": 0, "seven": range(1, 8), "eight": range(8, 16)}
    cells.obs["few"] = cells.obs[GROUPBY].astype(str)
    for name, chosen in rows.items():
        cells.obs.iloc[chosen, cells.obs.columns.get_loc("few")] = name
    with pytest.warns(UserWarning, match="ambient RNA") as record:
        ace.tl.explain(cells, "few")
    (message,) = [str(w.message) for w in record if "fewer than" in str(w.message)]
    assert message.startswith("groups of fewer than 8 cells: ['one (1)', 'seven (7)']. ")


def test_unused_categories_are_left_out_with_a_warning(cells):
    cells.obs["type"] = cells.obs[GROUPBY].cat.add_categories("nobody")
    with pytest.warns(
        UserWarning, match="without cells are ignored.*nobody.*remove_unused_categories"
    ):
        ace.tl.explain(cells, "type")
    assert "nobody" not in ranking(cells)


def test_counts_are_warned_about(cells):
    with pytest.warns(UserWarning, match=r"(?s)holds counts.*normalize_total.*log1p"):
        ace.tl.explain(cells, GROUPBY, layer="counts")


def test_low_fidelity_is_warned_about(cells):
    cells.obs["random"] = np.random.default_rng(0).choice(["a", "b", "c"], cells.n_obs)
    with pytest.warns(
        UserWarning, match="the scorer assigns only .* of the cells to their own group"
    ):
        ace.tl.explain(cells, "random")


def test_a_low_fidelity_is_rounded_down():
    from ace._checks import MIN_FIDELITY, warn_of_low_fidelity

    with pytest.warns(UserWarning, match=r"assigns only 84\.9% of the cells"):
        warn_of_low_fidelity(MIN_FIDELITY - 1e-4, np.array([0.8, 1.0]), ["a", "b"], "")


def test_low_fidelity_of_a_group_is_warned_about():
    from ace._checks import warn_of_low_fidelity

    by_group, names = np.array([0.99, 0.17, 0.5, 0.49]), ["a", "b", "c", "d"]
    with pytest.warns(UserWarning, match="assigns most cells of some groups") as record:
        warn_of_low_fidelity(0.93, by_group, names, "Use more prototypes. ")
    (message,) = [str(w.message) for w in record]
    assert "(fidelity: ['b (0.17)', 'd (0.49)'])" in message
    assert "Use more prototypes. Use another embedding" in message
    warn_of_low_fidelity(0.93, np.array([0.99, 0.5]), ["a", "b"], "")  # warnings are errors


def spoil(what):
    def change(adata):
        if what == "nan":
            adata.X.data[5] = np.nan
        elif what == "inf":
            adata.X.data[5] = np.inf
        elif what == "twice":
            adata.var_names = ["same", "same", *adata.var_names[2:]]
        elif what == "missing":
            adata.obs.loc[adata.obs_names[:3], GROUPBY] = np.nan
        elif what == "one":
            adata.obs["one"] = "all"
        elif what == "float":
            adata.obs["float"] = np.linspace(0, 1, adata.n_obs)

    return change


@pytest.mark.parametrize(
    ("what", "arguments", "error", "message"),
    [
        (None, {"groupby": "luovain"}, KeyError, "no column 'luovain'.*Did you mean 'louvain'"),
        (None, {"groups": ["0", "zero"]}, ValueError, "groups='zero' is not one of"),
        (None, {"groups": "zero"}, ValueError, "groups=.zero. is not one of"),
        (None, {"groups": []}, ValueError, "groups is empty"),
        (None, {"reference": "other"}, ValueError, "reference='other' is not one of"),
        (None, {"groups": ["1"], "reference": "1"}, ValueError, "nothing to compare"),
        (None, {"groups": ["1"], "reference": "each"}, ValueError, "choose at least two"),
        (None, {"layer": "logs"}, KeyError, "there is no layer 'logs'"),
        (None, {"method": "panels"}, ValueError, "Did you mean 'panel'"),
        (None, {"n_sample": 3}, ValueError, "option of method 'panel'='n_sample'"),
        (
            None,
            {"n_cells": -5},
            ValueError,
            "n_cells must be a positive whole number or None, got -5",
        ),
        (None, {"n_cells": 2.5}, ValueError, "n_cells must be"),
        (None, {"random_state": -1}, ValueError, "random_state must be a whole number"),
        (None, {"n_joint": 0}, ValueError, "n_joint must be a whole number from 1"),
        (
            None,
            {"method": "integrated_gradients", "n_steps": 0},
            ValueError,
            "n_steps must be a whole number from 1",
        ),
        (
            None,
            {"method": "adversarial", "bounds": "all"},
            ValueError,
            "bounds must be 'observed'",
        ),
        (None, {"n_prototypes": 0}, ValueError, "n_prototypes must be"),
        (
            None,
            {"per_cell": True, "reference": "each"},
            ValueError,
            "per_cell=True needs a single reference",
        ),
        (None, {"model": "pca"}, KeyError, "no 'pca' in adata.obsm"),
        ("nan", {}, ValueError, "NaN or infinite values in 1 genes"),
        ("inf", {}, ValueError, "NaN or infinite values in 1 genes"),
        ("twice", {}, ValueError, "var_names_make_unique"),
        ("missing", {}, ValueError, r"3 cells have no group.*notna\(\)"),
        ("one", {"groupby": "one"}, ValueError, "only one group"),
        ("float", {"groupby": "float"}, ValueError, "holds measurements"),
    ],
)
def test_errors_change_nothing(cells, what, arguments, error, message):
    spoil(what)(cells)
    keys = set(cells.uns), set(cells.varm), set(cells.layers)
    obs, values = cells.obs.copy(), cells.X.data.copy()
    with pytest.raises(error, match=message):
        ace.tl.explain(cells, **({"groupby": GROUPBY} | arguments))
    assert (set(cells.uns), set(cells.varm), set(cells.layers)) == keys
    pd.testing.assert_frame_equal(cells.obs, obs)
    np.testing.assert_array_equal(cells.X.data, values)


def test_names_that_collide_are_an_error(cells):
    cells.obs["type"] = cells.obs[GROUPBY].cat.rename_categories({"0": "a/b", "1": "a|b"})
    with pytest.raises(ValueError, match="not unique once they are stored"):
        ace.tl.explain(cells, "type")


def test_a_model_of_other_genes_is_an_error(pbmc):
    ace.model.KRATOS.setup_anndata(pbmc, labels_key="bulk_labels")
    model = ace.model.KRATOS(pbmc)
    model.train(max_epochs=1, enable_progress_bar=False)
    other = pbmc[:, 10:].copy()
    with pytest.raises(ValueError, match=r"10 of the 765 genes"):
        ace.tl.explain(other, "bulk_labels", model=model)
    with pytest.raises(ValueError, match="leave layer out"):
        ace.tl.explain(pbmc, "bulk_labels", model=model, layer="counts")


def test_empty_objects(cells):
    with pytest.raises(ValueError, match="has no groups"):
        ace.tl.explain(cells[:0].copy(), GROUPBY)
