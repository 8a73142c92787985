"""Conditions that are compared within each category of another column."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import ace
from ace.tl._within import MIN_CELLS

# anndata and scanpy use what pandas 3 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .* option is deprecated"),
    pytest.mark.filterwarnings("ignore:The inplace keyword in"),
]


def ours(record):
    """Warnings of this package, not those of pandas about anndata."""
    return [warning for warning in record if warning.category is UserWarning]


def two_conditions(n: int = 30) -> ad.AnnData:
    """Three types; the condition changes ``g0`` in all, ``g1`` in "B" only, none in "C"."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "type": pd.Categorical(np.repeat(["T", "B", "C d"], 2 * n), ["T", "B", "C d"]),
            "condition": pd.Categorical(np.tile(["stim", "ctrl"], 3 * n), ["ctrl", "stim"]),
        }
    )
    obs.index = [f"cell{i}" for i in range(len(obs))]
    x = rng.exponential(size=(len(obs), 12))
    stim = (obs["condition"] == "stim").to_numpy()
    x[stim, 0] += 9
    x[stim & (obs["type"] == "B").to_numpy(), 1] += 9
    for i, name in enumerate(["T", "B", "C d"]):
        x[(obs["type"] == name).to_numpy(), 5 + i] += 9
    return ad.AnnData(np.log1p(x), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(12)]))


def test_each_category_equals_a_call_for_its_cells():
    adata = two_conditions()
    ace.tl.explain(
        adata, "condition", groups=["stim"], reference="ctrl", within="type", n_cells=20
    )
    fields = ["stim in T", "stim in B", "stim in C d"]
    assert list(adata.uns["ace"]["names"].dtype.names) == fields
    assert list(ace.get.explain_df(adata)["group"].cat.categories) == fields
    fidelities = []
    for name in adata.obs["type"].cat.categories:
        part = adata[adata.obs["type"] == name].copy()
        ace.tl.explain(part, "condition", groups=["stim"], reference="ctrl", n_cells=20)
        field = f"stim in {name}"
        pd.testing.assert_frame_equal(
            ace.get.explain_df(adata, field).drop(columns="group"),
            ace.get.explain_df(part).drop(columns="group"),
        )
        pd.testing.assert_frame_equal(
            ace.get.diagnostics_df(adata, field).drop(columns=["group", "seconds"]),
            ace.get.diagnostics_df(part).drop(columns=["group", "seconds"]),
        )
        fidelities.append(part.uns["ace"]["params"]["fidelity"])
    params = adata.uns["ace"]["params"]
    assert params["within"] == "type"
    assert params["reference"] == "ctrl"
    assert params["fidelity"] == pytest.approx(np.mean(fidelities))
    top = {field: set(adata.uns["ace"]["names"][field][:2]) for field in fields}
    assert "g0" in top["stim in T"] & top["stim in C d"]
    assert top["stim in B"] == {"g0", "g1"}


def test_categories_with_few_cells_are_left_out_with_one_warning():
    adata = two_conditions()
    stim = (adata.obs["condition"] == "stim").to_numpy()
    kind = adata.obs["type"].to_numpy()
    few = (kind == "T") & stim & (np.cumsum((kind == "T") & stim) > MIN_CELLS - 1)
    none = (kind == "C d") & stim
    adata = adata[~few & ~none].copy()
    with pytest.warns(UserWarning, match=r"left out: 'T' \(stim: 9\); 'C d' \(stim: 0") as record:
        ace.tl.explain(adata, "condition", groups=["stim"], reference="ctrl", within="type")
    assert len(ours(record)) == 1
    assert adata.uns["ace"]["names"].dtype.names == ("stim in B",)
    with pytest.raises(ValueError, match=r"and these are all: 'T' .*'C d'"):
        ace.tl.explain(adata[kind[~few & ~none] != "B"].copy(), "condition", within="type")


def test_a_warning_of_several_categories_is_given_once():
    adata = two_conditions()
    adata.obs["random"] = np.random.default_rng(0).choice(["x", "y"], adata.n_obs)
    with pytest.warns(UserWarning, match="the scorer assigns only") as record:
        ace.tl.explain(adata, "random", within="type", n_prototypes=1)
    assert {str(w.filename) for w in ours(record)} == {__file__}
    assert all("(Categories: [" in str(w.message) for w in ours(record))
    adata.X = np.round(np.expm1(adata.X)).astype(np.float32)
    with pytest.warns(UserWarning, match=r"(?s)holds counts.*Categories: \['T', 'B', 'C d'\]"):
        ace.tl.explain(adata, "condition", within="type")


@pytest.mark.filterwarnings("ignore:the scorer assigns only:UserWarning")
def test_pairs_and_sets_within_categories(survives_files):
    adata = two_conditions()
    third = np.arange(adata.n_obs) % 3 == 0
    adata.obs["three"] = pd.Categorical(
        np.where(third, "third", adata.obs["condition"].astype(str))
    )
    ace.tl.explain(adata, "three", reference="each", within="type")
    fields = adata.uns["ace"]["names"].dtype.names
    assert fields[:2] == ("ctrl vs stim in T", "ctrl vs third in T")
    assert len(fields) == 18
    with pytest.raises(ValueError, match="within each category of 'type'"):
        ace.get.pairs_df(adata)
    with pytest.raises(ValueError, match="within each category of 'type'"):
        ace.pl.pairs(adata, show=False)
    ace.tl.explain(
        adata,
        "three",
        groups={"not stim": ["ctrl", "third"]},
        within="type",
        key_added="sets",
        n_genes=3,
    )
    assert adata.uns["sets"]["names"].dtype.names[0] == "not stim in T"
    survives_files(adata)


def test_figures_and_scanpy_draw_the_result():
    adata = two_conditions()
    ace.tl.explain(adata, "condition", groups=["stim"], reference="ctrl", within="type")
    fields = list(adata.uns["ace"]["names"].dtype.names)
    axes = ace.pl.panels(adata, n_genes=3, show=False)
    assert [ax.get_title().splitlines()[0] for ax in axes] == [f"{f} vs ctrl" for f in fields]
    ace.pl.heatmap(adata, show=False)
    ace.pl.diagnostics(adata, show=False)
    panels = ace.get.panel_dict(adata, n_genes=2)
    assert list(panels) == fields
    sc.pl.dotplot(adata, panels, groupby=["type", "condition"], show=False)
    axes = sc.pl.rank_genes_groups(adata, key="ace", show=False)
    assert [ax.get_title() for ax in axes] == [f"{field} vs. ctrl" for field in fields]
    axes = sc.pl.rank_genes_groups_dotplot(
        adata, key="ace", n_genes=2, groupby=["type", "condition"], dendrogram=False, show=False
    )
    drawn = [text.get_text() for text in axes["mainplot_ax"].get_xticklabels()]
    assert drawn == [gene for genes in panels.values() for gene in genes]


def test_colours_are_those_of_the_categories():
    from ace.pl._colors import group_colors

    adata = two_conditions()
    adata.obs["type"] = adata.obs["type"].cat.rename_categories({"C d": "x in B"})
    adata.uns["type_colors"] = ["#111111", "#222222", "#333333"]
    ace.tl.explain(adata, "condition", within="type")
    colors = group_colors(adata, key="ace")
    assert colors["stim in T"] == colors["ctrl in T"] == "#111111"
    assert colors["stim in B"] == "#222222"
    assert colors["stim in x in B"] == "#333333"


def test_a_file_is_read_in_place(tmp_path):
    adata = two_conditions()
    ace.tl.explain(adata, "condition", within="type", key_added="memory")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    on_disk = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    ace.tl.explain(on_disk, "condition", within="type")
    pd.testing.assert_frame_equal(
        on_disk.varm["ace_scores"], adata.varm["memory_scores"], check_names=False
    )
    on_disk.file.close()


def classifier(adata: ad.AnnData):
    ace.model.KRATOS.setup_anndata(adata, labels_key="condition")
    model = ace.model.KRATOS(adata)
    model.train(max_epochs=2, enable_progress_bar=False)
    return model


def autoencoder(adata: ad.AnnData):
    ace.model.ACE.setup_anndata(adata)
    model = ace.model.ACE(adata)
    model.train(max_epochs=2, enable_progress_bar=False)
    return model


def model_of_counts(adata: ad.AnnData):
    import scvi

    scvi.model.SCVI.setup_anndata(adata, layer="counts", batch_key="phase")
    model = scvi.model.SCVI(adata)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.train(max_epochs=2, enable_progress_bar=False)
    return model


@pytest.mark.filterwarnings("ignore:the scorer assigns only:UserWarning")
@pytest.mark.parametrize("trained", [classifier, autoencoder, model_of_counts])
def test_each_category_through_a_model(pbmc, trained):
    adata = pbmc[pbmc.obs["bulk_labels"].isin(["CD14+ Monocyte", "Dendritic"])].copy()
    adata.obs["condition"] = np.random.default_rng(0).choice(["ctrl", "stim"], adata.n_obs)
    model = trained(adata)
    ace.tl.explain(adata, "condition", model=model, within="bulk_labels")
    for name in ("CD14+ Monocyte", "Dendritic"):
        part = adata[adata.obs["bulk_labels"] == name].copy()
        ace.tl.explain(part, "condition", model=model)
        for group in ("ctrl", "stim"):
            pd.testing.assert_frame_equal(
                ace.get.explain_df(adata, f"{group} in {name}").drop(columns="group"),
                ace.get.explain_df(part, group).drop(columns="group"),
            )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"within": "condition"}, ValueError, "is groupby, too"),
        ({"within": "typ"}, KeyError, "no column 'typ'.*Did you mean 'type'"),
        ({"within": "type", "per_cell": True}, ValueError, "and no within"),
        ({"within": "type", "groups": ["other"]}, ValueError, "groups='other' is not one of"),
    ],
)
def test_errors_change_nothing(arguments, error, message):
    adata = two_conditions()
    with pytest.raises(error, match=message):
        ace.tl.explain(adata, "condition", **arguments)
    assert "ace" not in adata.uns


def test_a_category_without_rules_can_be_stored(tmp_path):
    """Labels of one category are random, so that it has no panel."""
    adata = two_conditions()
    rng = np.random.default_rng(0)
    category = adata.obs["type"].cat.categories[0]
    rows = np.flatnonzero(adata.obs["type"] == category)
    labels = adata.obs["condition"].to_numpy(copy=True)
    labels[rows] = rng.permutation(labels[rows])
    adata.obs["condition"] = pd.Categorical(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ace.tl.explain(
            adata, "condition", groups=["stim"], reference="ctrl", within="type", quality=True
        )
    rules = adata.uns["ace"]["rules"]
    assert rules["n_genes"].dtype == np.int64
    assert rules.index.is_unique
    assert adata.uns["ace"]["quality"].index.is_unique
    adata.write_h5ad(tmp_path / "cells.h5ad")
