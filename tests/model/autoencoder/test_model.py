"""ACE on planted groups: clusters, batches, selected genes, and invalid arguments."""

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from mudata import MuData
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

import ace
from ace.model import ACE

QUIET = {"enable_progress_bar": False}
SIZES = (120, 80, 15)


@pytest.fixture
def cells():
    """Three groups, one of them small, with five marker genes each of 40; two batches."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], SIZES)
    x = rng.gamma(2, 0.2, size=(len(codes), 40))
    for code in range(3):
        x[codes == code, 5 * code : 5 * code + 5] += 2
    batch = rng.integers(0, 2, len(codes))
    x[:, 20:30] += 1.5 * batch[:, None]
    x[:, 39] = 1.0
    adata = ad.AnnData(
        sparse.csr_matrix(x.astype(np.float32)),
        obs=pd.DataFrame(
            {
                "type": pd.Categorical(np.array(["c", "a/b", "β 2"])[codes]),
                "batch": pd.Categorical(batch.astype(str)),
            },
            index=[f"cell{i}" for i in range(len(codes))],
        ),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(40)]),
    )
    return adata[rng.permutation(len(codes))].copy()


def _trained(cells, setup=None, train=None, **init):
    ACE.setup_anndata(cells, **(setup or {}))
    model = ACE(cells, **{"n_hidden": (32, 16), "n_latent": 4, "random_state": 0} | init)
    model.train(**{"max_epochs": 40, "batch_size": 32, "lr": 3e-3} | QUIET | (train or {}))
    return model


@pytest.mark.parametrize("cluster_weight", [0.0, 0.3])
def test_clusters_are_the_planted_groups(cells, cluster_weight):
    model = _trained(cells, {"batch_key": "batch"}, n_clusters=3, cluster_weight=cluster_weight)
    found = model.predict()
    assert adjusted_rand_score(cells.obs["type"], found) > 0.95
    assert pd.Series(found).value_counts().index.tolist() == ["0", "1", "2"]  # by size
    soft = model.predict(soft=True)
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(soft.columns[soft.to_numpy().argmax(1)], found)
    assert ("train_cluster" in model.history) == (cluster_weight > 0)


def test_soft_assignment_is_that_of_the_paper(cells):
    model = _trained(cells, n_clusters=3)
    z = model.get_latent_representation()
    distance = np.square(z[:, None] - model.centroids_).sum(2)
    expected = np.exp(-model.beta_ * (distance - distance.min(1, keepdims=True)))
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict(soft=True), expected, atol=1e-5)
    scores = model.group_scorer()(torch.from_numpy(cells.X.toarray()))
    np.testing.assert_allclose(torch.sigmoid(scores).cpu(), expected, atol=1e-5)


def test_batches_are_mixed(cells):
    def gap(model):
        z, batch = model.get_latent_representation(), cells.obs["batch"] == "0"
        return np.linalg.norm(z[batch].mean(0) - z[~batch].mean(0)) / z.std()

    corrected = gap(_trained(cells, {"batch_key": "batch"}))
    ignored = gap(_trained(cells, {"batch_key": "batch"}, batch_weight=0.0))
    assert corrected < 0.5 * ignored


def test_reconstruction_is_without_batches(cells):
    model = _trained(cells, {"batch_key": "batch"})
    frame = model.get_reconstruction(gene_list=["gene25", "gene0", "gene39"])
    assert frame.columns.tolist() == ["gene25", "gene0", "gene39"]
    batch = cells.obs["batch"] == "0"
    raw = cells[:, "gene25"].X.toarray().ravel()
    assert abs(raw[batch].mean() - raw[~batch].mean()) > 1.4
    assert abs(frame["gene25"][batch].mean() - frame["gene25"][~batch].mean()) < 0.3
    own = cells.obs["type"] == "c"
    assert frame["gene0"][own].mean() > frame["gene0"][~own].mean() + 1
    np.testing.assert_array_equal(frame["gene39"], 1)  # the constant value
    assert model.get_reconstruction(indices=[3, 1]).shape == (2, 40)
    with pytest.raises(ValueError, match="nowhere"):
        model.get_reconstruction(gene_list=["nowhere"])
    with pytest.raises(TypeError, match="several names"):
        model.get_reconstruction(gene_list="gene0")


def test_any_number_of_batches_even_of_one_cell(cells):
    cells.obs["batch"] = pd.Categorical(
        np.r_[["lonely"], np.array(list("abcd"))[np.arange(214) % 4]]
    )
    model = _trained(cells, {"batch_key": "batch"}, n_clusters=3, train={"max_epochs": 5})
    assert np.isfinite(model.get_latent_representation()).all()
    assert np.isfinite(model.history["train_batch"].to_numpy(dtype=float)).all()


def test_clusters_can_be_defined_by_labels(cells):
    model = _trained(cells, {"labels_key": "type"}, cluster_weight=0.1)
    assert model.cluster_names_ == ("a/b", "c", "β 2")
    assert (model.predict() == cells.obs["type"].to_numpy()).mean() > 0.98
    z, rows = model.get_latent_representation(), model.train_indices
    own = rows[(cells.obs["type"] == "c").to_numpy()[rows]]
    np.testing.assert_allclose(model.centroids_[1], z[own].mean(0), atol=1e-4)


def test_number_of_clusters_is_estimated(cells):
    model = _trained(cells, {"batch_key": "batch"}, n_clusters="auto")
    assert len(model.centroids_) == 3


def test_selected_genes_are_those_of_the_groups(cells):
    model = _trained(cells, n_selected=6, n_clusters=3)
    chosen = model.selected_genes()
    assert len(chosen) == 6
    # 15 genes differ between groups and 10 between batches; the other 15 are noise.
    assert sum(int(gene[4:]) < 30 for gene in chosen) == 6
    other = [gene for gene in cells.var_names if gene not in set(chosen)]
    x = torch.from_numpy(cells.X.toarray()).requires_grad_()
    model.group_scorer()(x)[:, 0].sum().backward()
    read = x.grad.abs().sum(0) > 0
    assert set(cells.var_names[read.numpy()]) <= set(chosen)
    assert not read.numpy()[cells.var_names.get_indexer(other)].any()


def test_selected_genes_are_kept_by_saving_and_further_training(cells, tmp_path):
    model = _trained(cells, n_selected=6, n_clusters=3)
    model.save(str(tmp_path / "model"))
    loaded = ACE.load(str(tmp_path / "model"), adata=cells)
    assert loaded.selected_genes().equals(model.selected_genes())
    np.testing.assert_array_equal(loaded.predict(soft=True), model.predict(soft=True))
    loaded.train(max_epochs=2, **QUIET)
    assert loaded.selected_genes().equals(model.selected_genes())


def test_all_genes_are_used_by_default(cells):
    model = _trained(cells, train={"max_epochs": 1})
    with pytest.raises(RuntimeError, match="n_selected=256"):
        model.selected_genes()
    with pytest.raises(RuntimeError, match="n_clusters=8"):
        model.predict()
    with pytest.raises(RuntimeError, match="pass groupby"):
        model.group_scorer()
    assert model.group_scorer(groupby="type").groups == ("a/b", "c", "β 2")


def test_explanation_finds_the_planted_genes(cells):
    model = _trained(cells, {"batch_key": "batch"}, n_clusters=3)
    cells.obs["ace"] = model.predict()
    for groupby in ("ace", "type"):
        ace.tl.explain(cells, groupby, model=model)
        own = cells.obs.loc[cells.obs["type"] == "c", groupby].mode()[0]
        assert {int(g[4:]) // 5 for g in cells.uns["ace"]["names"][own][:3]} <= {0, 1, 2}
        assert cells.uns["ace"]["params"]["embedding"] == "ACE"
        assert cells.uns["ace"]["params"]["fidelity"] > 0.95


def test_published_settings_run(cells):
    published = {"scale": "minmax", "dropout_rate": 0.0, "id_weight": 0.1, "distance_weight": 0.1}
    model = _trained(cells, {"batch_key": "batch"}, n_clusters=3, **published)
    for term in ("reconstruction", "batch", "id", "distance"):
        assert np.isfinite(model.history[f"train_{term}"].to_numpy(dtype=float)).all()
    assert len(set(model.predict())) == 3


def test_modality_of_mudata(cells):
    other = cells[:, :3].copy()
    other.var_names = ["x", "y", "z"]
    with warnings.catch_warnings():
        # Warnings of mudata, also about pandas, differ between its versions.
        warnings.simplefilter("ignore")
        mdata = MuData({"rna": cells.copy(), "other": other})
    mdata.obs["donor"] = pd.Categorical(np.arange(mdata.n_obs) % 2)
    ACE.setup_mudata(
        mdata,
        modalities={"layer": "rna", "labels_key": "rna"},
        batch_key="donor",
        labels_key="type",
    )
    model = ACE(mdata, n_hidden=(16,), n_latent=3, random_state=0)
    model.train(max_epochs=2, **QUIET)
    assert (model.batch_key, model.labels_key) == ("donor", "type")
    assert model.get_latent_representation().shape == (215, 3)
    assert model.group_scorer(groupby="type").groups == ("a/b", "c", "β 2")
    with pytest.raises(ValueError, match="name the modality"):
        ACE.setup_mudata(mdata, modalities={"layer": "nowhere"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "log"}, "is not one of"),
        ({"n_hidden": ()}, "n_hidden must have at least one layer"),
        ({"n_latent": 0}, "n_latent must be a whole number from 1"),
        ({"n_latent": 2.5}, "n_latent must be a whole number from 1"),
        ({"n_clusters": 1}, "from 2"),
        ({"n_clusters": 7.5}, "n_clusters must be a whole number from 2"),
        ({"n_clusters": "many"}, "from 2"),
        ({"n_selected": 10.0}, "n_selected must be a whole"),
        ({"n_selected": 41}, "of 40 features"),
        ({"batch_weight": -1.0}, "batch_weight must be a number from 0"),
        ({"cluster_weight": float("nan")}, "cluster_weight must be"),
        ({"dropout_rate": 1.0}, "dropout_rate"),
    ],
)
def test_invalid_arguments_are_errors(cells, arguments, message):
    ACE.setup_anndata(cells)
    with pytest.raises(ValueError, match=message):
        ACE(cells, **arguments)


def test_fewer_distinct_cells_than_clusters(cells):
    cells.X = sparse.csr_matrix(cells.shape, dtype=np.float32)
    with pytest.raises(ValueError, match="only 1 distinct cells"):
        _trained(cells, n_clusters=3, train={"max_epochs": 1})


def test_integers_of_any_type_are_accepted(cells):
    model = _trained(cells, n_clusters=np.int64(4), train={"max_epochs": 1})
    assert len(model.centroids_) == 4


def test_every_label_has_training_cells(cells):
    cells.obs["type"] = cells.obs["type"].cat.add_categories("rare")
    cells.obs.iloc[7, cells.obs.columns.get_loc("type")] = "rare"
    for seed in range(3):
        model = _trained(cells, {"labels_key": "type"}, {"max_epochs": 1, "random_state": seed})
        assert 7 in model.train_indices
    rest = np.delete(np.arange(cells.n_obs), 7)
    with pytest.raises(ValueError, match=r"no training cell has the labels \['rare'\]"):
        _trained(cells, {"labels_key": "type"}, {"external_indexing": [rest]})


def test_numeric_labels_stay_numeric(cells):
    cells.obs["number"] = cells.obs["type"].cat.codes.astype(int) * 10
    model = _trained(cells, {"labels_key": "number"}, cluster_weight=0.1)
    assert (model.predict() == cells.obs["number"].to_numpy()).mean() > 0.98
    assert model.group_scorer().groups == ("0", "10", "20")


def test_genes_are_selected_in_short_trainings(cells):
    model = _trained(cells, n_selected=6, train={"max_epochs": 1, "batch_size": 500})
    assert len(model.selected_genes()) == 6
    ACE.setup_anndata(cells)
    with pytest.raises(ValueError, match="still being chosen"):
        ACE(cells, n_selected=6, n_hidden=(8,)).train(early_stopping=True, **QUIET)


def test_failed_training_changes_nothing(cells):
    expected = _trained(cells, n_selected=6, train={"max_epochs": 3})
    again = ACE(cells, n_hidden=(32, 16), n_latent=4, random_state=0, n_selected=6)
    with pytest.raises(ValueError, match="not both"):
        again.train(external_indexing=[[0]], train_size=0.5, **QUIET)
    again.module.set_moments(np.zeros((1, 40), np.float32), np.arange(40.0))
    again.train(max_epochs=3, batch_size=32, lr=3e-3, **QUIET)
    np.testing.assert_allclose(
        again.get_latent_representation(), expected.get_latent_representation(), atol=1e-4
    )


@pytest.mark.parametrize("part", [0, 1])
def test_unknown_batches_are_an_error(cells, tmp_path, part):
    _trained(cells, {"batch_key": "batch"}, {"max_epochs": 1}).save(str(tmp_path / "model"))
    other = cells.copy()
    other.obs["batch"] = other.obs["batch"].cat.add_categories("9")
    other.obs.iloc[5, other.obs.columns.get_loc("batch")] = "9"
    loaded = ACE.load(str(tmp_path / "model"), adata=other)
    rows = np.delete(np.arange(200), 5)
    split = [np.r_[rows, 5], [200]] if part == 0 else [rows, [200, 5]]
    with pytest.raises(ValueError, match="batches unknown to the model"):
        loaded.train(external_indexing=split, max_epochs=1, **QUIET)


def test_history_of_a_second_training_is_complete(cells):
    model = _trained(
        cells, n_clusters=3, cluster_weight=0.1, train={"max_epochs": 2, "warmup_epochs": 1}
    )
    model.train(max_epochs=3, warmup_epochs=0, batch_size=32, **QUIET)
    history = model.history["train_cluster"]["train_cluster"]
    assert history.index.tolist() == [0, 1, 2, 3, 4]
    assert history.isna().tolist() == [True, False, False, False, False]


def test_missing_batches_are_an_error_with_a_fix(cells):
    cells.obs["batch"] = cells.obs["batch"].where(np.arange(cells.n_obs) > 3)
    with pytest.raises(ValueError, match=r"missing for 4 cells\. Leave these cells out"):
        ACE.setup_anndata(cells, batch_key="batch")


@pytest.mark.parametrize("setting", [{"batch_size": 4}, {"cluster_weight": 0.1}])
def test_empty_cells_do_not_give_nan(cells, setting):
    empty = cells.copy()
    empty.X = sparse.csr_matrix(empty.X.multiply((np.arange(empty.n_obs) > 100)[:, None]))
    train = {k: v for k, v in setting.items() if k == "batch_size"} | {"max_epochs": 3}
    init = {k: v for k, v in setting.items() if k != "batch_size"}
    model = _trained(empty, {"batch_key": "batch"}, train, n_clusters=3, **init)
    assert np.isfinite(model.get_latent_representation()).all()
    assert model.history["train_loss"].to_numpy(dtype=float).max() < 100


def test_too_few_cells_to_choose_a_number_of_clusters(cells):
    ACE.setup_anndata(cells)
    model = ACE(cells, n_clusters="auto", n_hidden=(8,))
    with pytest.raises(ValueError, match="at least 3 training cells, got 2"):
        model.train(external_indexing=[[0, 1]], **QUIET)
    assert not model.is_trained


def test_more_clusters_than_cells(cells):
    ACE.setup_anndata(cells)
    model = ACE(cells, n_clusters=300, n_hidden=(8,))
    with pytest.raises(ValueError, match="n_clusters=300"):
        model.train(max_epochs=1, **QUIET)
    assert not model.is_trained
