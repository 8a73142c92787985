"""Saving and loading, with and without the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from ace.model.saving import _model_file

if TYPE_CHECKING:
    from collections.abc import Callable
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
    """Unlabelled cells with shuffled and additional genes, which are matched by name."""
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


def test_cells_that_lack_genes_are_an_error(case: ModelCase, folder: str, query: AnnData) -> None:
    with pytest.raises(ValueError, match="5 of the 765 genes of the model"):
        case.cls.load(folder, adata=query[:, 5:].copy())


def test_loaded_model_can_be_trained_further(
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


def test_folder_is_not_overwritten_by_default(model: Any, folder: str) -> None:
    with pytest.raises(ValueError, match="already exists"):
        model.save(folder)
    model.save(folder, overwrite=True)


def test_training_state_is_saved(case: ModelCase, model: Any, folder: str) -> None:
    loaded = case.cls.load(folder, adata=model.adata.copy())
    for name in ("train_indices", "validation_indices", "test_indices"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
        assert getattr(loaded, name).dtype == getattr(model, name).dtype
    assert loaded._split_fingerprint_ == model._split_fingerprint_
    assert loaded._split_eligible_ == model._split_eligible_
    assert loaded.history.keys() == model.history.keys()
    for name, frame in model.history.items():
        pd.testing.assert_frame_equal(loaded.history[name], frame)
    if case.classifies:
        split = {"split": "validation"}
        assert loaded.evaluate(**split)["accuracy"] == model.evaluate(**split)["accuracy"]


def test_saving_a_loaded_model_gives_the_same_file(
    case: ModelCase, folder: str, tmp_path: Path
) -> None:
    case.cls.load(folder, adata=False).save(str(tmp_path / "again"))
    first, again = (
        _model_file.from_file(path / "model.safetensors")
        for path in (tmp_path / "model", tmp_path / "again")
    )
    assert first.weights.keys() == again.weights.keys()
    for name, value in first.weights.items():
        np.testing.assert_array_equal(value, again.weights[name])
        assert value.dtype == again.weights[name].dtype
    assert first.attributes.keys() == again.attributes.keys()


def _lose_weights(saved: Any) -> None:
    saved.weights.popitem()


def _other_class(saved: Any) -> None:
    saved.class_name = "SCVI"


def _nothing(saved: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "spoil", "message"),
    [
        (_lose_weights, _nothing, "1 missing"),
        (_other_class, _nothing, "of the class SCVI"),
        (_nothing, lambda adata: adata[:, 5:].copy(), "5 of the 765 genes"),
    ],
)
def test_failed_loading_leaves_cells_unchanged(
    case: ModelCase,
    folder: str,
    adata: AnnData,
    tmp_path: Path,
    change: Callable[[Any], None],
    spoil: Callable[[AnnData], AnnData | None],
    message: str,
) -> None:
    path = tmp_path / "model" / "model.safetensors"
    saved = _model_file.from_file(path)
    change(saved)
    path.write_bytes(_model_file.to_file(saved))
    for registered in (False, True):
        cells = spoil(adata)
        cells = adata.copy() if cells is None else cells
        if registered:
            case.new(cells)
        before = cells.copy()
        calls = [lambda cells=cells: case.cls.load(folder, adata=cells)]
        if hasattr(case.cls, "load_query_data"):
            calls.append(lambda cells=cells: case.cls.load_query_data(cells, folder))
        for call in calls:
            with pytest.raises(ValueError, match=message):
                call()
            pd.testing.assert_frame_equal(cells.obs, before.obs)
            assert cells.uns.keys() == before.uns.keys()
            assert cells.uns.get("_scvi_uuid") == before.uns.get("_scvi_uuid")
            assert set(cells.obsm) == set(before.obsm)
        if registered:  # the user's own set-up is still there
            case.cls(cells, **case.init)


def test_query_from_a_saved_reference(
    case: ModelCase, model: Any, folder: str, adata: AnnData
) -> None:
    if not hasattr(case.cls, "load_query_data"):
        pytest.skip(f"{case.name} has no load_query_data")
    from_folder = case.cls.load_query_data(adata.copy(), folder)
    from_model = case.cls.load_query_data(adata.copy(), model)
    for query in (from_folder, from_model):
        query.is_trained_ = True
    np.testing.assert_array_equal(case.outputs(from_folder), case.outputs(from_model))


@pytest.fixture(scope="module")
def checkpoints(
    case: ModelCase, _cells: AnnData, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any, Path]:
    from scvi.train import SaveCheckpoint

    folder = tmp_path_factory.mktemp("checkpoints")
    callback = SaveCheckpoint(
        dirpath=str(folder),
        filename="{epoch}",
        monitor="train_loss",
        mode="max",  # the first epoch is the "best", which no other callback would choose
        save_top_k=-1,
        load_best_on_end=True,
    )
    model = case.trained(_cells.copy(), max_epochs=2, train_size=0.8, callbacks=[callback])
    return model, callback, folder


def test_checkpoint_is_a_complete_model(
    case: ModelCase, checkpoints: tuple[Any, Any, Path], adata: AnnData
) -> None:
    model, callback, folder = checkpoints
    for epoch in range(2):
        loaded = case.cls.load(folder / f"epoch={epoch}", adata=adata.copy())
        assert loaded.is_trained
        np.testing.assert_array_equal(loaded.train_indices, model.train_indices)
        np.testing.assert_array_equal(loaded.validation_indices, model.validation_indices)
        assert loaded._split_fingerprint_ == model._split_fingerprint_
        for name, frame in model.history.items():
            pd.testing.assert_frame_equal(loaded.history[name], frame.iloc[: epoch + 1])
        same = np.array_equal(case.outputs(loaded), case.outputs(model))
        assert same == (str(folder / f"epoch={epoch}") == callback.best_model_path)
        if case.name == "SCNYM" and same:
            assert loaded.temperature_ == model.temperature_
            assert loaded.novelty_threshold_ == model.novelty_threshold_
            np.testing.assert_array_equal(loaded.novelty(), model.novelty())
        if case.name == "ACE" and same:
            np.testing.assert_array_equal(loaded.centroids_, model.centroids_)
            np.testing.assert_array_equal(loaded.predict(), model.predict())
        case.fit(loaded)  # training can be continued
        assert len(loaded.history["train_loss"]) == epoch + 1 + case.train["max_epochs"]


def test_checkpoint_without_its_cells_is_an_error(
    case: ModelCase, checkpoints: tuple[Any, Any, Path], query: AnnData
) -> None:
    folder = checkpoints[2] / "epoch=0"
    ask = {"SCNYM": "novelty", "ACE": "predict"}.get(case.name)
    if ask is None:
        assert not case.cls.load(folder, adata=False)._is_unfinished_
        return
    for cells in (False, query):
        with pytest.warns(UserWarning, match="the cells that it was trained on"):
            loaded = case.cls.load(folder, adata=cells)
        with pytest.raises(RuntimeError, match="saved during training"):
            getattr(loaded, ask)(query)
        assert len(loaded.get_latent_representation(query)) == 90
