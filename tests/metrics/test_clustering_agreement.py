"""Agreement of clusterings, compared with scikit-learn and by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_score

from ace.metrics import clustering_agreement


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    labels = np.repeat(["T", "B", "NK"], [50, 30, 20])
    clusters = pd.DataFrame({"same": labels, "noisy": labels, "random": rng.integers(0, 4, 100)})
    clusters.loc[::7, "noisy"] = "T"
    place = {"T": 0.0, "B": 3.0, "NK": 6.0}
    z = rng.normal(size=(100, 4)) + np.array([place[name] for name in labels])[:, None]
    return labels, clusters, z


def test_equal_to_scikit_learn(cells):
    labels, clusters, z = cells
    table = clustering_agreement(labels, clusters, z)
    assert table.index.tolist() == ["same", "noisy", "random"]
    assert table.index.name == "clustering"
    assert table["n_clusters"].tolist() == [3, 3, 4]
    for name, row in table.iterrows():
        assert row["ari"] == adjusted_rand_score(labels, clusters[name])
        assert row["ami"] == adjusted_mutual_info_score(labels, clusters[name])
        expected = silhouette_score(z, clusters[name])
        assert row["silhouette"] == pytest.approx(expected, abs=1e-5)
        assert row["silhouette_labels"] == pytest.approx(silhouette_score(z, labels), abs=1e-5)
    assert table.loc["same", ["ari", "ami"]].tolist() == pytest.approx([1, 1])
    assert table.loc["random", ["ari", "ami"]].abs().max() < 0.1


def test_by_hand():
    labels, clusters = list("aabb"), list("xyyy")
    # Pairs together: (2 + 2) / 2 of 6 by labels, 3 by clusters, 1 by both; E = 2 · 3 / 6.
    row = clustering_agreement(labels, clusters, [[0.0], [2.0], [3.0], [4.0]]).iloc[0]
    assert row["ari"] == pytest.approx((1 - 1) / ((2 + 3) / 2 - 1))
    # 0 for a single cell; otherwise (b - a) / max(a, b) with a = 1.5, 1, 1.5 and b = 2, 3, 4.
    assert row["silhouette"] == pytest.approx((0 + 0.5 / 2 + 2 / 3 + 2.5 / 4) / 4)
    by_labels = [(3.5 - 2) / 3.5, (1.5 - 2) / 2, (2 - 1) / 2, (3 - 1) / 3]
    assert row["silhouette_labels"] == pytest.approx(np.mean(by_labels))


def test_one_clustering_without_a_name(cells):
    labels, clusters, _ = cells
    table = clustering_agreement(labels, clusters["noisy"])
    assert table.index.tolist() == ["clusters"]
    assert table.columns.tolist() == ["n_clusters", "ari", "ami"]
    expected = clustering_agreement(labels, clusters).loc["noisy"]
    assert table.loc["clusters"].tolist() == expected.tolist()


def test_a_latent_for_each_clustering(cells):
    labels, clusters, z = cells
    latents = {"same": z, "noisy": z[:, :1], "not asked for": None}
    table = clustering_agreement(labels, clusters[["same", "noisy"]], latents)
    for name in ("same", "noisy"):
        expected = silhouette_score(latents[name], labels)
        assert table.loc[name, "silhouette_labels"] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match=r"no latent space for the clusterings \['random'\]"):
        clustering_agreement(labels, clusters, latents)


def test_order_and_names_change_nothing(cells):
    labels, clusters, z = cells
    order = np.random.default_rng(1).permutation(100)
    renamed = pd.Series(labels).map({"T": 2, "B": 0, "NK": 1}).astype("category")
    pd.testing.assert_frame_equal(
        clustering_agreement(renamed.iloc[order], clusters.iloc[order], z[order]),
        clustering_agreement(labels, clusters, z),
        atol=1e-6,
    )


def test_sampled_cells(cells):
    labels, clusters, z = cells
    full = clustering_agreement(labels, clusters, z)
    one, same, other = (
        clustering_agreement(labels, clusters, z, n_sampled=60, random_state=s) for s in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one, same)
    assert (one["silhouette"] != other["silhouette"]).all()
    assert one[["ari", "ami"]].equals(full[["ari", "ami"]])  # of all cells
    np.testing.assert_allclose(one["silhouette_labels"], full["silhouette_labels"], atol=0.1)
    pd.testing.assert_frame_equal(clustering_agreement(labels, clusters, z, n_sampled=100), full)


def test_no_silhouette_without_a_second_group():
    z = np.arange(4.0)[:, None]
    table = clustering_agreement(list("aabb"), {"one": [0] * 4, "each": range(4)}, z)
    assert table["silhouette"].isna().all()
    assert table["silhouette_labels"].notna().all()
    assert table["n_clusters"].tolist() == [1, 4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": []}, "labels is empty"),
        ({"clusters": {}}, "clusters is empty"),
        ({"clusters": list("xy")}, "the clustering 'clusters' is invalid: .* for each of 4 cells"),
        (
            {"clusters": {"leiden": ["x", None, "y", "z"]}},
            "'leiden' is invalid: 1 labels are missing",
        ),
        (
            {"latents": np.zeros((3, 2))},
            "latent space of 'clusters' has 3 cells, but labels has 4",
        ),
        ({"latents": np.zeros(4)}, "must be a matrix of cells × dimensions"),
        ({"latents": np.full((4, 2), np.nan)}, "NaN or infinite"),
        ({"n_sampled": 1}, "n_sampled \\(of 4 cells\\) must be a whole number from 2 to 4"),
    ],
)
def test_errors_say_what_was_expected(arguments, message):
    given = {"labels": list("aabb"), "clusters": list("xyyy")} | arguments
    with pytest.raises(ValueError, match=message):
        clustering_agreement(**given)
