"""Labels of half of the bundled blood cells, transferred to the other half."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

import ace
from ace.tl._majority_vote import majority_vote

LABELS = "bulk_labels"
WRITTEN = {
    "obs": {"scnym", "scnym_given", "scnym_confidence", "scnym_novelty", "scnym_novel"},
    "obsm": {"scnym_probabilities", "X_scnym"},
    "uns": {"scnym"},
}
# Short trainings: the accuracy of the model is not tested here.
QUICK = {"n_top_genes": 200, "max_epochs": 3}


@pytest.fixture
def atlas(pbmc: ad.AnnData) -> ad.AnnData:
    """Every other cell, with labels."""
    return pbmc[::2].copy()


@pytest.fixture
def query(pbmc: ad.AnnData) -> ad.AnnData:
    """The other cells, with genes in another order, some missing, and no labels."""
    cells = pbmc[1::2].copy()
    cells.obs["truth"] = cells.obs.pop(LABELS)
    return cells[:, np.random.default_rng(0).permutation(cells.n_vars)[:700]].copy()


@pytest.fixture
def mixed(pbmc: ad.AnnData) -> ad.AnnData:
    """All cells, every other one unlabelled: half of these missing, half unknown."""
    labels = pbmc.obs[LABELS].cat.add_categories("Unknown")
    labels.iloc[1::4], labels.iloc[3::4] = "Unknown", np.nan
    pbmc.obs["known"] = labels
    return pbmc


def state(adata: ad.AnnData) -> ad.AnnData:
    return adata.to_memory() if adata.isbacked else adata.copy()


def assert_only_written(adata: ad.AnnData, before: ad.AnnData, *more: str) -> None:
    pd.testing.assert_frame_equal(adata.obs[before.obs.columns], before.obs)
    pd.testing.assert_frame_equal(adata.var, before.var)
    assert set(adata.obs) - set(before.obs) == WRITTEN["obs"] | set(more)
    for place in ("obsm", "uns"):
        assert set(getattr(adata, place)) - set(getattr(before, place)) == WRITTEN[place]
    for place in ("layers", "varm", "obsp", "varp"):
        assert set(getattr(adata, place)) == set(getattr(before, place))
    assert (adata.X != before.X).nnz == 0


def assert_same(
    one: ad.AnnData, other: ad.AnnData, key: str = "scnym", **tolerance: float
) -> None:
    assert (one.obs["scnym"].astype(str) == other.obs[key].astype(str)).mean() > 0.99
    for a, b in (
        (one.obs["scnym_novelty"], other.obs[f"{key}_novelty"]),
        (one.obsm["scnym_probabilities"], other.obsm[f"{key}_probabilities"]),
        (one.obsm["X_scnym"], other.obsm[f"X_{key}"]),
    ):
        np.testing.assert_allclose(a, b, **tolerance)


def test_labels_of_a_reference(query, atlas):
    before, reference = state(query), state(atlas)
    model = ace.tl.annotate(query, LABELS, reference=atlas, max_epochs=30, return_model=True)
    assert_only_written(query, before)
    assert (query.obs["scnym"].astype(str) == query.obs["truth"].astype(str)).mean() > 0.7
    # The reference is unchanged.
    pd.testing.assert_frame_equal(atlas.obs, reference.obs)
    assert set(atlas.uns) == set(reference.uns)
    assert set(atlas.obsm) == set(reference.obsm)
    assert (atlas.X != reference.X).nnz == 0
    # Results equal the predictions of the model, for any object with its genes.
    probabilities = model.predict(query, soft=True)
    stored = query.obsm["scnym_probabilities"]
    assert list(stored.columns) == [str(label).replace("/", "|") for label in model.labels]
    np.testing.assert_allclose(stored, probabilities, atol=1e-5)
    assert list(query.obs["scnym"]) == list(model.predict(query))
    np.testing.assert_allclose(query.obs["scnym_confidence"], probabilities.max(axis=1), atol=1e-5)
    np.testing.assert_allclose(query.obs["scnym_novelty"], model.novelty(query), atol=1e-5)
    np.testing.assert_array_equal(
        query.obs["scnym_novel"], query.obs["scnym_novelty"] > model.novelty_threshold_
    )
    np.testing.assert_allclose(
        query.obsm["X_scnym"], model.get_latent_representation(query), atol=1e-5
    )
    # Its genes are those of both objects, in the order of the query.
    assert list(model.var_names) == list(query.var_names)
    about = query.uns["scnym"]
    assert about["novelty_threshold"] == model.novelty_threshold_
    assert about["temperature"] == model.temperature_
    held_out = model.evaluate(split="validation")
    calibration = model.get_calibration(split="validation")
    held_out["ece"] = calibration["ece"]
    assert about["evaluation"] == {k: v for k, v in held_out.items() if k != "confusion"}
    pd.testing.assert_frame_equal(about["reliability"], calibration["reliability"])
    assert about["params"]["n_genes"] == 700
    assert about["params"]["reference"] is True


def test_return_values(query, atlas):
    """Nothing, the copy, the model, or both."""
    before = state(query)
    both = ace.tl.annotate(query, LABELS, reference=atlas, copy=True, return_model=True, **QUICK)
    copied, model = both
    assert_only_written(copied, before)
    assert set(query.obs) == set(before.obs)
    assert set(query.uns) == set(before.uns)
    assert isinstance(model, ace.model.SCNYM)
    assert list(copied.obs["scnym"]) == list(model.predict(copied))
    only = ace.tl.annotate(query, LABELS, reference=atlas, copy=True, **QUICK)
    assert list(only.obs["scnym"]) == list(copied.obs["scnym"])
    assert ace.tl.annotate(query, LABELS, reference=atlas, **QUICK) is None
    assert list(query.obs["scnym"]) == list(copied.obs["scnym"])


def test_given_labels_are_kept_and_missing_ones_predicted(mixed):
    before = state(mixed)
    model = ace.tl.annotate(mixed, "known", max_epochs=30, return_model=True)
    assert_only_written(mixed, before)
    given = np.arange(700) % 2 == 0
    assert (mixed.obs["scnym"][given].astype(str) == before.obs[LABELS][given].astype(str)).all()
    found = mixed.obs["scnym"][~given].astype(str)
    assert (found == mixed.obs[LABELS][~given].astype(str)).mean() > 0.7
    assert "Unknown" not in mixed.obs["scnym"].cat.categories
    # The confidence of a given label is the probability of that label.
    probabilities = model.predict(soft=True)
    for label in model.labels:
        has = (mixed.obs["scnym"] == label).to_numpy()
        np.testing.assert_allclose(
            mixed.obs["scnym_confidence"][has], probabilities.loc[has, label], atol=1e-5
        )
    assert (mixed.obs["scnym_confidence"][given] < probabilities[given].max(axis=1) - 1e-3).any()
    # Some cells with a given label are above the threshold, but none of them is novel.
    above = mixed.obs["scnym_novelty"] > model.novelty_threshold_
    assert above[given].any()
    np.testing.assert_array_equal(mixed.obs["scnym_novel"], above & ~given)
    assert model.adata.obs["known"].value_counts()["Unknown"] == 350


def test_labels_of_the_query_are_ignored(query, atlas):
    ace.tl.annotate(query, LABELS, reference=atlas, **QUICK)
    query.obs[LABELS] = query.obs["truth"]
    before = query.obs[LABELS].copy()
    ace.tl.annotate(query, LABELS, reference=atlas, key_added="again", **QUICK)
    pd.testing.assert_series_equal(query.obs[LABELS], before)
    assert_same(query, query, "again", atol=0)


def test_same_call_same_bits(query, atlas):
    once, twice, other = query.copy(), query.copy(), query.copy()
    ace.tl.annotate(once, LABELS, reference=atlas, **QUICK)
    ace.tl.annotate(twice, LABELS, reference=atlas, **QUICK)
    ace.tl.annotate(other, LABELS, reference=atlas, random_state=1, **QUICK)
    pd.testing.assert_frame_equal(once.obs, twice.obs)
    assert_same(once, twice, atol=0)
    assert not np.allclose(once.obsm["X_scnym"], other.obsm["X_scnym"])


@pytest.mark.parametrize("form", ["dense", "csc", "csr_array", "float64", "backed"])
def test_matrix_format_does_not_matter(query, atlas, tmp_path, form):
    ace.tl.annotate(query, LABELS, reference=atlas, **QUICK)
    change = {
        "dense": lambda x: x.toarray(),
        "csc": lambda x: x.tocsc(),
        "csr_array": sp.csr_array,
        "float64": lambda x: x.astype(np.float64),
    }
    objects = []
    for i, adata in enumerate((query, atlas)):
        other = adata.copy()
        if form == "backed":
            other.write_h5ad(tmp_path / f"{i}.h5ad")
            other = ad.read_h5ad(tmp_path / f"{i}.h5ad", backed="r")
        else:
            other.X = change[form](other.X)
        objects.append(other)
    ace.tl.annotate(objects[0], LABELS, reference=objects[1], key_added="other", **QUICK)
    assert_same(query, objects[0], "other", rtol=1e-3, atol=1e-4)
    for other in objects:
        assert other.isbacked == (form == "backed")
        if form == "backed":
            other.file.close()


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_results_can_be_saved(mixed, tmp_path, suffix):
    ace.tl.annotate(mixed, "known", over_clustering="louvain", min_prop=0.9, **QUICK)
    path = tmp_path / f"cells.{suffix}"
    getattr(mixed, f"write_{suffix}")(path)
    again = getattr(ad, f"read_{suffix}")(path)
    pd.testing.assert_frame_equal(ace.get.annotation_df(again), ace.get.annotation_df(mixed))
    pd.testing.assert_frame_equal(
        again.obsm["scnym_probabilities"], mixed.obsm["scnym_probabilities"], check_names=False
    )
    stored, before = again.uns["scnym"], mixed.uns["scnym"]
    assert stored["params"].keys() == before["params"].keys()
    assert stored["params"]["labels_key"] == "known"
    assert stored["evaluation"] == before["evaluation"]
    pd.testing.assert_frame_equal(
        stored["reliability"], before["reliability"], check_names=False, check_index_type=False
    )


@pytest.mark.filterwarnings("ignore:groups of fewer than")
def test_explanations_use_the_classifier(query, atlas):
    model = ace.tl.annotate(query, LABELS, reference=atlas, max_epochs=20, return_model=True)
    ace.tl.explain(query, groupby="scnym", model=model, n_cells=50, method="saliency")
    assert query.uns["ace"]["params"]["scorer"] == "ClassifierScorer"
    groups = query.uns["ace"]["names"].dtype.names
    assert list(groups) == list(query.obs["scnym"].cat.categories)


def test_domains_of_columns(mixed):
    mixed.obs["donor"] = pd.Categorical(np.where(np.arange(700) % 3 == 0, "a", "b"))
    mixed.obs["lane"] = np.arange(700) % 2
    one = ace.tl.annotate(mixed, "known", domain_key="donor", **QUICK, return_model=True)
    two = ace.tl.annotate(
        mixed, "known", domain_key=["donor", "lane"], key_added="two", **QUICK, return_model=True
    )
    assert set(one.predict_domain()) <= {"a", "b"}
    assert two.predict_domain(domain_key="lane", soft=True).shape == (700, 2)
    assert list(mixed.uns["two"]["params"]["domain_key"]) == ["donor", "lane"]
    assert mixed.obs["lane"].dtype.kind == "i"


def test_numeric_labels_stay_numeric(pbmc):
    codes = pbmc.obs["louvain"].astype(int)
    pbmc.obs["number"] = codes.where(np.arange(700) % 2 == 0, -1)
    ace.tl.annotate(pbmc, "number", unlabeled_category=-1, **QUICK)
    assert pbmc.obs["scnym"].cat.categories.dtype.kind == "i"
    assert (pbmc.obs["scnym"][::2].astype(int) == codes[::2]).all()
    assert all(isinstance(name, str) for name in pbmc.obsm["scnym_probabilities"].columns)


def test_layers_are_read(query, atlas):
    ace.tl.annotate(query, LABELS, reference=atlas, **QUICK)
    for adata in (query, atlas):
        adata.layers["logged"], adata.X = adata.X, adata.layers["counts"]
    ace.tl.annotate(query, LABELS, reference=atlas, layer="logged", key_added="other", **QUICK)
    assert_same(query, query, "other", atol=0)


def test_majority_vote(mixed):
    ace.tl.annotate(mixed, "known", over_clustering="louvain", **QUICK)
    given = np.arange(700) % 2 == 0
    obs = mixed.obs
    assert (obs["scnym_majority"][given].astype(str) == obs["scnym"][given].astype(str)).all()
    new = obs[~given]
    for _, cells in new.groupby("louvain", observed=True):
        votes = cells["scnym"].value_counts()
        assert set(cells["scnym_majority"]) <= set(votes.index[votes == votes.max()])
    # Votes of an earlier call are removed.
    ace.tl.annotate(mixed, "known", **QUICK)
    assert "scnym_majority" not in mixed.obs


def test_votes():
    labels = pd.Categorical(list("aabbbcca"), categories=list("abc"))
    clusters = np.array([0, 0, 0, 1, 1, 1, None, 2], dtype=object)
    everyone = np.ones(8, dtype=bool)
    assert "".join(majority_vote(labels, clusters, everyone)) == "aaabbbca"
    # A tie goes to the first category; cells that do not vote keep their label.
    voters = np.array([1, 0, 1, 1, 0, 1, 1, 0], dtype=bool)
    assert "".join(majority_vote(labels, clusters, voters)) == "aaabbbca"
    voters[0] = False
    assert "".join(majority_vote(labels, clusters, voters)) == "aabbbbca"
    split = majority_vote(labels, clusters, everyone, min_prop=0.7)
    assert list(split) == [*["Heterogeneous"] * 6, "c", "a"]
    assert list(majority_vote(labels, clusters, everyone, min_prop=2 / 3)) == list("aaabbbca")
    assert list(split.categories) == ["a", "c", "Heterogeneous"]


def test_log_contains_the_keys_written(query, atlas, caplog):
    with caplog.at_level("INFO", logger="ace"):
        ace.tl.annotate(query, LABELS, reference=atlas, **QUICK)
    assert "700 genes are in the query and in the reference" in caplog.text
    assert "0 of the 700 genes of the query and 65 of the 765 of the reference" in caplog.text
    assert "labelled 350 cells by 200 genes" in caplog.text
    assert ".obs['scnym_novel'], .obsm['scnym_probabilities'], .obsm['X_scnym']" in caplog.text


def test_failed_training_writes_nothing(query, atlas):
    before = state(query)
    for options, error in (
        ({"preset": "magic"}, ValueError),
        ({"plan_kwargs": {"magic": 1}}, TypeError),
        ({"batch_size": 0}, ValueError),
    ):
        with pytest.raises(error, match=r"magic|batch_size"):
            ace.tl.annotate(query, LABELS, reference=atlas, **QUICK, **options)
    assert set(query.obs) == set(before.obs)
    assert set(query.obsm) == set(before.obsm)
    assert set(query.uns) == set(before.uns)


# Warnings of anndata about pandas' options are recorded, too, and filtered afterwards.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_without_held_out_cells_no_cell_is_novel(query, atlas):
    with pytest.warns(UserWarning, match="only 0 labelled cells were held out.*validation_size"):
        ace.tl.annotate(query, LABELS, reference=atlas, train_size=1.0, **QUICK)
    assert not query.obs["scnym_novel"].any()
    assert np.isnan(query.uns["scnym"]["novelty_threshold"])
    assert "reliability" not in query.uns["scnym"]


def test_progress_bar_on_request(query, atlas, capsys):
    ace.tl.annotate(query, LABELS, reference=atlas, progress=True, **QUICK)
    shown = capsys.readouterr()
    assert "Epoch" in shown.out + shown.err


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_top_genes": 0}, ValueError, "n_top_genes must be a positive whole number"),
        ({"max_epochs": 1.5}, ValueError, "max_epochs must be a positive whole number"),
        ({"random_state": -1}, ValueError, "random_state must be a whole number"),
        ({"min_prop": 2}, ValueError, "min_prop must be a number from 0 to 1"),
        (
            {"unlabeled_category": None},
            ValueError,
            "unlabeled_category=None must be a string or a number",
        ),
        ({"key_added": ""}, ValueError, "key_added must be a name"),
        ({"key_added": "a/b"}, ValueError, "key_added must be a name of 1 to 200 bytes"),
        ({"key_added": "known"}, ValueError, r"would write to obs\['known'\]"),
        ({"over_clustering": "leiden"}, KeyError, "no column 'leiden' in adata.obs"),
        ({"labels_key": "knwon"}, KeyError, "no column 'knwon'.*Did you mean 'known'"),
        ({"labels_key": LABELS}, ValueError, "every cell has a label.*nothing to annotate"),
        ({"labels_key": "n_genes"}, ValueError, "every cell has a label|holds measurements"),
        ({"labels_key": "percent_mito"}, ValueError, "holds measurements"),
        ({"domain_key": "batch"}, KeyError, "no column 'batch' in adata.obs"),
        ({"domain_key": "known"}, ValueError, "is the column of the labels"),
        ({"layer": "logs"}, KeyError, "there is no layer 'logs'"),
        ({"layer": "counts"}, ValueError, "(?s)holds counts.*normalize_total.*log1p"),
    ],
)
def test_errors(mixed, arguments, error, message):
    before = state(mixed)
    with pytest.raises(error, match=message):
        ace.tl.annotate(mixed, **({"labels_key": "known"} | arguments))
    assert set(mixed.obs) == set(before.obs)
    assert set(mixed.uns) == set(before.uns)


def test_warnings_have_the_location_of_the_call(query, atlas):
    atlas = atlas[:, np.r_[:300, 700:765]].copy()
    atlas.obs[LABELS] = atlas.obs[LABELS].cat.rename_categories({"Dendritic": "unassigned"})
    atlas.obs.loc[atlas.obs_names[:3], LABELS] = np.nan
    query = query[:, ~query.var_names.isin(atlas.var_names[:200])].copy()
    query.X = (query.X.expm1() * 5).log1p()
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        ace.tl.annotate(query, LABELS, reference=atlas, n_top_genes=50, max_epochs=1)
    ours = [w for w in record if w.category is UserWarning]
    assert [str(w.message).split(":")[0][:30] for w in ours] == [
        "reference.obs['bulk_labels'] h",
        "3 cells of the reference have ",
        "the query and the reference sh",
        "totals of the reference and th",
    ]
    assert {w.filename for w in ours} == {__file__}


def test_a_reference_must_be_another_object(mixed):
    with pytest.raises(ValueError, match="reference is adata itself"):
        ace.tl.annotate(mixed, "known", reference=mixed)
    with pytest.raises(TypeError, match="reference must be an AnnData, got DataFrame"):
        ace.tl.annotate(mixed, "known", reference=mixed.obs)


def test_other_matrices_that_are_not_log_normalised(mixed):
    scaled, plain = mixed.copy(), mixed.copy()
    scaled.X = scaled.X.toarray()
    sc.pp.scale(scaled)
    plain.X = plain.X.expm1()
    with pytest.raises(ValueError, match="scaled values"):
        ace.tl.annotate(scaled, "known")
    with pytest.raises(ValueError, match="without a logarithm"):
        ace.tl.annotate(plain, "known")
    plain.X = (plain.layers["counts"] * 0.9).minimum(20).tocsr()
    with pytest.raises(ValueError, match="counts with decimals"):
        ace.tl.annotate(plain, "known")
    half = np.arange(plain.n_obs) % 2 == 0
    plain.X = sp.diags(half * 1.0) @ mixed.X + sp.diags(~half * 1.0) @ plain.layers["counts"]
    with pytest.raises(ValueError, match="values of different kinds: counts in rows such as 1, "):
        ace.tl.annotate(plain, "known")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_few_held_out_cells_raise_a_warning(query, atlas):
    few = atlas[np.r_[:60]].copy()
    with pytest.warns(UserWarning, match=r"^only \d+ labelled cells were held out, too few"):
        ace.tl.annotate(query, LABELS, reference=few, **QUICK)


@pytest.mark.parametrize(
    ("key", "place"), [("pca", r"\.obsm\['X_pca'\]"), ("louvain", r"\.obs\['louvain'\]")]
)
def test_only_annotations_are_overwritten(query, atlas, key, place):
    query.obsm["X_pca"] = np.ones((query.n_obs, 2))
    before = state(query)
    with pytest.raises(ValueError, match=rf"would overwrite {place}"):
        ace.tl.annotate(query, LABELS, reference=atlas, key_added=key, **QUICK)
    pd.testing.assert_frame_equal(query.obs, before.obs)
    np.testing.assert_array_equal(query.obsm["X_pca"], before.obsm["X_pca"])


def test_an_explanation_does_not_replace_an_annotation(query, atlas):
    model = ace.tl.annotate(query, LABELS, reference=atlas, **QUICK, return_model=True)
    with pytest.raises(ValueError, match=r"key_added='scnym' would overwrite"):
        ace.tl.explain(query, "scnym", model=model, key_added="scnym")
    ace.get.annotation_df(query)  # it is still there


def test_given_labels_are_stored(pbmc):
    """They are used even if their column changes later."""
    pbmc.obs["known"] = pbmc.obs[LABELS].astype(str)
    pbmc.obs.loc[pbmc.obs_names[::2], "known"] = "Unknown"
    ace.tl.annotate(pbmc, "known", **QUICK)
    pbmc.obs["known"] = pbmc.obs["scnym"]
    given = ace.get.annotation_df(pbmc)["given"].to_numpy()
    np.testing.assert_array_equal(given, np.arange(pbmc.n_obs) % 2 == 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_epochs": 3}, r"annotate has no argument 'n_epochs': use max_epochs="),
        ({"n_layers": 4}, r"no option 'n_layers'\. Pass model_kwargs=\{'n_layers'"),
        ({"batchsize": 4}, r"Did you mean 'batch_size'"),
        ({"model_kwargs": {"layers": 4}}, r"model_kwargs has no option 'layers'"),
    ],
)
def test_unknown_options(query, atlas, options, message):
    with pytest.raises(TypeError, match=message):
        ace.tl.annotate(query, LABELS, reference=atlas, **QUICK | options)


def test_options_of_the_network(query, atlas):
    network = {"n_layers": 3, "n_hidden": 20}
    model = ace.tl.annotate(
        query, LABELS, reference=atlas, model_kwargs=network, **QUICK, return_model=True
    )
    assert len(model.module.encoder) == 3
    assert query.obsm["X_scnym"].shape == (query.n_obs, 20)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_category_that_looks_unlabelled_is_suggested(pbmc):
    pbmc.obs["known"] = pbmc.obs[LABELS].astype(str)
    pbmc.obs.loc[pbmc.obs_names[::2], "known"] = "Unassigned"
    with (
        pytest.warns(UserWarning, match="learned as a type"),
        pytest.raises(ValueError, match="Did you mean unlabeled_category='Unassigned'"),
    ):
        ace.tl.annotate(pbmc, "known", unlabeled_category="unk", **QUICK)
