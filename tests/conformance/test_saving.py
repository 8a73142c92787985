"""Saving and loading, with the cells and without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from tests.conformance.conftest import ModelCase


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> str:
    model.save(str(tmp_path / "model"))
    return str(tmp_path / "model")


def test_with_its_cells(case: ModelCase, model: Any, tmp_path: Path) -> None:
    model.save(str(tmp_path / "model"), save_anndata=True)
    loaded = case.cls.load(str(tmp_path / "model"))
    np.testing.assert_array_equal(case.outputs(loaded), case.outputs(model))
    assert loaded.init_params_ == model.init_params_
    assert loaded.summary_string == model.summary_string
    np.testing.assert_array_equal(loaded.test_indices, model.test_indices)
    assert loaded.history.keys() == model.history.keys()
    assert not loaded.module.training


def test_without_cells(case: ModelCase, model: Any, folder: str, query: AnnData) -> None:
    loaded = case.cls.load(folder, adata=False)
    assert loaded.adata is None
    np.testing.assert_array_equal(case.outputs(loaded, query), case.outputs(model, query))
    assert loaded.adata is None
    with pytest.raises(ValueError, match="loaded without an AnnData"):
        loaded.get_latent_representation()
    with pytest.raises(ValueError, match="loaded without an AnnData"):
        case.fit(loaded)


def test_no_cells_saved_warns(case: ModelCase, folder: str) -> None:
    with pytest.warns(UserWarning, match="no saved anndata"):
        loaded = case.cls.load(folder)
    assert loaded.adata is None


def test_with_other_cells(case: ModelCase, model: Any, folder: str, query: AnnData) -> None:
    """Shuffled genes, a further one, no labels: attached to the model and read by name."""
    genes = np.random.default_rng(0).permutation(query.n_vars)
    shuffled = query[:, genes].copy()
    expected = case.outputs(model, query)
    loaded = case.cls.load(folder, adata=shuffled)
    assert loaded.adata is shuffled
    np.testing.assert_array_equal(loaded.var_names, model.var_names)
    np.testing.assert_array_equal(case.outputs(loaded), expected)
    np.testing.assert_array_equal(case.outputs(loaded, query), expected)


def test_saved_again_after_loading_with_shuffled_genes(
    case: ModelCase, model: Any, folder: str, query: AnnData, tmp_path: Path
) -> None:
    loaded = case.cls.load(folder, adata=query[:, ::-1].copy())
    loaded.save(str(tmp_path / "again"), save_anndata=True)
    again = case.cls.load(str(tmp_path / "again"))
    np.testing.assert_array_equal(again.var_names, model.var_names)
    np.testing.assert_array_equal(case.outputs(again, query), case.outputs(model, query))


def test_cells_that_lack_genes_are_refused(case: ModelCase, folder: str, query: AnnData) -> None:
    with pytest.raises(ValueError, match="5 of the 765 genes of the model"):
        case.cls.load(folder, adata=query[:, 5:].copy())


def test_loaded_model_trains_on(
    case: ModelCase, model: Any, adata: AnnData, tmp_path: Path, folder: str
) -> None:
    loaded = case.cls.load(folder, adata=adata)
    case.fit(loaded)
    np.testing.assert_array_equal(loaded.test_indices, model.test_indices)
    assert len(loaded.history["train_loss"]) == 2 * case.train["max_epochs"]


def test_untrained_model(case: ModelCase, adata: AnnData, tmp_path: Path) -> None:
    case.new(adata).save(str(tmp_path / "model"))
    loaded = case.cls.load(str(tmp_path / "model"), adata=adata)
    assert not loaded.is_trained
    case.fit(loaded)
    assert loaded.is_trained


def test_folder_is_not_overwritten_unasked(model: Any, folder: str) -> None:
    with pytest.raises(ValueError, match="already exists"):
        model.save(folder)
    model.save(folder, overwrite=True)
