"""Clusters in latent spaces: which cells are judged, by what, and what is kept."""

import json

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_score


@pytest.fixture
def toy(monkeypatch):
    """A classifier of 60 cells in three groups that errs on two, both unseen."""
    import anndata as ad
    import representations

    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b", "c"], 20)
    places = {"a": (0.0, 0.0), "b": (9.0, 0.0), "c": (0.0, 9.0)}
    latent = np.array([places[g] for g in groups]) + rng.normal(size=(60, 2))
    adata = ad.AnnData(latent.astype(np.float32))
    adata.obs["group"] = groups
    adata.obs["group"] = adata.obs["group"].astype("category")
    predicted = groups.copy()
    predicted[[0, 1]] = "b"
    unseen = np.array([0, 1, 2, 3, 20, 21, 22, 40, 41, 42])
    found = representations.Representation(latent, 7.0, predicted=predicted, unseen=unseen)
    monkeypatch.setitem(representations.METHODS, "KRATOS", lambda adata, seed: found)
    return adata, found


def test_a_classifier_is_judged_by_all_and_by_unseen_cells(toy):
    import representations

    adata, found = toy
    rows = representations.run(adata, "KRATOS", 0, draw=False)
    assert list(rows) == ["KRATOS, all cells", "KRATOS, held-out cells"]
    everything, unseen = rows.values()
    assert (everything["n_cells"], unseen["n_cells"]) == (60, 10)
    assert (everything["accuracy"], unseen["accuracy"]) == (58 / 60, 0.8)
    assert everything["train_seconds"] == unseen["train_seconds"] == 7.0
    assert everything["ari"] == everything["ami"] == 1
    types = adata.obs["group"].to_numpy()
    assert everything["silhouette"] == pytest.approx(silhouette_score(found.latent, types))
    assert everything["ari_predicted"] == pytest.approx(
        adjusted_rand_score(types, found.predicted)
    )
    some = found.unseen
    assert unseen["ami_predicted"] == pytest.approx(
        adjusted_mutual_info_score(types[some], found.predicted[some])
    )
    assert unseen["silhouette_predicted"] < unseen["silhouette_types"]


def test_clusters_of_other_spaces_are_those_of_k_means(tmp_path):
    import representations
    import scanpy as sc
    from _data import load

    path = tmp_path / "representations.json"
    arguments = ["--data", "pbmc68k", "--methods", "PCA, 2 components", "--seeds", "3"]
    representations.main([*arguments, "--out", str(path)])
    (row,) = json.loads(path.read_text())["rows"]
    adata = load("pbmc68k")
    z = sc.pp.pca(adata.X, n_comps=2, random_state=3)
    clusters = KMeans(10, n_init=10, random_state=3).fit_predict(z)
    types = adata.obs["group"].astype(str)
    assert row["ari"] == pytest.approx(adjusted_rand_score(types, clusters), abs=1e-5)
    assert row["ami"] == pytest.approx(adjusted_mutual_info_score(types, clusters), abs=1e-5)
    assert row["silhouette_types"] == pytest.approx(silhouette_score(z, types), abs=1e-4)
    assert (row["method"], row["n_cells"]) == ("PCA, 2 components", 700)
    assert "umap" not in row


def test_kept_rows_are_not_made_again(tmp_path, toy, capsys):
    import representations

    arguments = ["--data", "pbmc68k", "--methods", "PCA, 2 components", "--seeds", "0"]
    arguments += ["--out", str(tmp_path / "r.json")]
    representations.main(arguments)
    assert "PCA, 2 components, seed 0" in capsys.readouterr().out
    representations.main(arguments)
    assert capsys.readouterr().out == ""


def test_kratos_does_not_see_what_it_is_judged_by(monkeypatch):
    import representations
    from _data import load

    import ace

    trained = []
    original = ace.model.KRATOS.train

    def train(self, *arguments, **options):
        trained.append(set(self.adata.obs_names))
        original(self, *arguments, **options | {"max_epochs": 2})

    monkeypatch.setattr(ace.model.KRATOS, "train", train)
    adata = load("pbmc68k")
    found = representations.kratos(adata, 0)
    assert trained[0].isdisjoint(adata.obs_names[found.unseen])
    assert len(trained[0]) + len(found.unseen) == 700
    assert found.latent.shape == (700, 64)
    assert len(found.predicted) == 700
