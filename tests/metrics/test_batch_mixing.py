"""Batch mixing of simulated latent spaces."""

import sys
import warnings

import numpy as np
import pytest

from ace.metrics import batch_mixing


@pytest.fixture(scope="module")
def needs_scib():
    reason = 'needs scib-metrics: pip install "ace-sc[integration]"'
    with warnings.catch_warnings(action="ignore"):  # of what it imports
        pytest.importorskip("scib_metrics", reason=reason)


@pytest.fixture
def cells():
    """Two distant types of 100 cells, and random batches."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(200, 4))
    types = np.repeat(["x", "y"], 100)
    latent[types == "y", 0] += 50
    return latent, np.tile(["a", "b"], 100), types


@pytest.mark.usefixtures("needs_scib")
def test_mixed_batches(cells):
    latent, batch, types = cells
    found = batch_mixing(latent, batch, types, n_neighbors=30)
    assert list(found.index) == ["ilisi", "kbet", "silhouette_batch", "clisi", "silhouette_label"]
    assert found["ilisi"] > 0.75
    assert found["kbet"] > 0.9
    assert found["silhouette_batch"] > 0.9
    assert found["clisi"] == pytest.approx(1)
    assert found["silhouette_label"] > 0.9


@pytest.mark.usefixtures("needs_scib")
def test_batches_apart(cells):
    latent, mixed, types = cells
    found = batch_mixing(latent, types, n_neighbors=30)
    assert list(found.index) == ["ilisi", "kbet", "silhouette_batch"]
    assert found["ilisi"] == pytest.approx(0, abs=1e-6)
    assert found["kbet"] == 0
    assert found["silhouette_batch"] < 0.1
    # Mixing is bad for labels: with two labels, one score is 1 minus the other.
    turned = batch_mixing(latent, types, mixed, n_neighbors=30)
    ilisi = batch_mixing(latent, mixed, n_neighbors=30)["ilisi"]
    assert turned["clisi"] == pytest.approx(1 - ilisi, abs=1e-6)
    assert turned["silhouette_label"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.usefixtures("needs_scib")
def test_batches_that_are_labels(cells):
    latent, _, types = cells
    assert np.isnan(batch_mixing(latent, types, types, n_neighbors=30)["silhouette_batch"])


@pytest.mark.usefixtures("needs_scib")
def test_the_same_bits_twice_and_permuted_cells(cells):
    latent, batch, types = cells
    found = batch_mixing(latent, batch, types)
    assert batch_mixing(latent, batch, types).equals(found)
    order = np.random.default_rng(1).permutation(200)
    permuted = batch_mixing(latent[order], batch[order], types[order])
    np.testing.assert_allclose(permuted, found, atol=1e-5)


@pytest.mark.usefixtures("needs_scib")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent": np.zeros(4)}, "matrix of cells × dimensions, got 1"),
        ({"latent": np.full((200, 2), np.nan)}, "NaN or infinite"),
        ({"batch": np.repeat("a", 200)}, r"batch has only one value, \['a'\]"),
        ({"batch": np.repeat("a", 3)}, "each of 200 cells"),
        ({"labels": np.repeat("a", 200)}, r"labels has only one value, \['a'\]"),
        ({"n_neighbors": 201}, "n_neighbors \\(for 200 cells\\) must be .* from 3 to 200"),
    ],
)
def test_errors_say_what_was_expected(cells, change, message):
    arguments = dict(zip(("latent", "batch", "labels"), cells, strict=True)) | change
    with pytest.raises(ValueError, match=message):
        batch_mixing(**arguments)


def test_missing_package_is_named(cells, monkeypatch):
    monkeypatch.setitem(sys.modules, "scib_metrics", None)
    with pytest.raises(ImportError, match=r'pip install "ace-sc\[integration\]"'):
        batch_mixing(*cells)
