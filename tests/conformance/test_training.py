"""Training: reproducibility, global state, validation, continued training, and errors."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scvi
import torch

if TYPE_CHECKING:
    from anndata import AnnData
    from tests.conformance.conftest import ModelCase


def test_same_seed_same_bits(case: ModelCase, model: Any, adata: AnnData, query: AnnData) -> None:
    torch.manual_seed(123)  # the global random state must not matter
    again = case.trained(adata)
    np.testing.assert_array_equal(case.outputs(again, query), case.outputs(model, query))
    for key, weight in again.module.state_dict().items():
        assert torch.equal(weight, model.module.state_dict()[key]), key
    np.testing.assert_array_equal(again.test_indices, model.test_indices)


def test_other_seed_other_result(
    case: ModelCase, model: Any, adata: AnnData, query: AnnData
) -> None:
    other = case.new(adata, random_state=1)
    case.fit(other)
    assert not np.array_equal(other.train_indices, model.train_indices)
    assert not np.array_equal(case.outputs(other, query), case.outputs(model, query))


def test_seed_defaults_to_that_of_scvi(
    case: ModelCase, adata: AnnData, query: AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = case.new(adata, random_state=7)
    case.fit(given)
    monkeypatch.setattr(scvi.settings, "_seed", 7)
    taken = case.new(adata, random_state=None)
    case.fit(taken)
    np.testing.assert_array_equal(case.outputs(taken, query), case.outputs(given, query))


def test_global_random_states_are_unchanged(case: ModelCase, adata: AnnData) -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    model = case.trained(adata)
    case.outputs(model)
    model.group_scorer()
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]


@pytest.mark.parametrize("flushed", [False, True])
def test_denormal_mode_is_restored(case: ModelCase, adata: AnnData, flushed: bool) -> None:
    torch.set_flush_denormal(flushed)
    try:
        case.trained(adata)
        survives = (torch.tensor([1e-310], dtype=torch.float64) * 1.0).item() > 0
        assert survives is not flushed
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("n_train", [1, 65, 128])
def test_last_minibatch_of_one_cell(case: ModelCase, adata: AnnData, n_train: int) -> None:
    n_train = max(n_train, case.fewest_cells)
    rows = np.random.default_rng(0).permutation(adata.n_obs)
    parts = [rows[:n_train], rows[n_train : n_train + 65]]
    model = case.trained(adata, external_indexing=parts, batch_size=64)
    assert np.isfinite(case.outputs(model)).all()
    np.testing.assert_array_equal(model.train_indices, parts[0])
    assert np.isfinite(model.history[case.validation_metric].to_numpy(dtype=float)).all()


def test_history_has_validation_metrics(case: ModelCase, model: Any) -> None:
    assert model.is_trained
    values = model.history[case.validation_metric].to_numpy(dtype=float).ravel()
    assert len(values) == case.train["max_epochs"]
    assert len(np.unique(values)) == len(values)
    assert values[-1] < values[0]
    assert "train_loss" in model.history


def test_split_covers_every_cell_once(model: Any, adata: AnnData) -> None:
    parts = [model.train_indices, model.validation_indices, model.test_indices]
    assert len(parts[0]) > len(parts[1]) > 0
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(adata.n_obs))


def test_training_can_be_continued(case: ModelCase, adata: AnnData) -> None:
    model = case.trained(adata)
    before, split = case.outputs(model), model.test_indices.copy()
    case.fit(model)
    assert len(model.history[case.validation_metric]) == 2 * case.train["max_epochs"]
    np.testing.assert_array_equal(model.test_indices, split)
    assert not np.array_equal(case.outputs(model), before)
    assert not model.module.training


def test_early_stopping_needs_and_uses_validation(case: ModelCase, adata: AnnData) -> None:
    model = case.new(adata)
    with pytest.raises(ValueError, match="validation cells"):
        case.fit(model, train_size=1.0, early_stopping=True)
    case.fit(model, max_epochs=50, early_stopping=True, early_stopping_min_delta=1e9,
             early_stopping_patience=2)  # fmt: skip
    assert len(model.history[case.validation_metric]) == 3


def test_trains_without_validation(case: ModelCase, adata: AnnData) -> None:
    model = case.trained(adata, train_size=1.0)
    assert len(model.train_indices) == adata.n_obs
    assert case.validation_metric not in model.history
    assert len(model.history["train_loss"]) == case.train["max_epochs"]


def test_callbacks_of_the_user_are_called(case: ModelCase, adata: AnnData) -> None:
    from lightning.pytorch import Callback

    class Counter(Callback):
        epochs = 0

        def on_train_epoch_end(self, *args: Any) -> None:
            self.epochs += 1

    counter, callbacks = Counter(), []
    callbacks.append(counter)
    case.trained(adata, callbacks=callbacks)
    assert counter.epochs == case.train["max_epochs"]
    assert callbacks == [counter]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_size": 0.8, "validation_size": 0.3}, "at most 1"),
        ({"train_size": -0.1}, "above 0"),
        ({"batch_size": 0}, "positive whole number"),
        ({"max_epochs": 0}, "positive whole number"),
        ({"external_indexing": [[0, 1], [1, 2]]}, "more than once"),
        ({"external_indexing": [[0, 10**6]]}, "outside"),
        ({"external_indexing": [[]]}, "no cell to train on"),
        ({"external_indexing": [[0]], "train_size": 0.5}, "not both"),
    ],
)
def test_invalid_arguments_are_errors(
    case: ModelCase, adata: AnnData, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        case.trained(adata, **arguments)


def test_values_that_are_not_finite_are_an_error(case: ModelCase, adata: AnnData) -> None:
    adata.X.data[::50] = np.nan
    model = case.new(adata)
    with pytest.raises(ValueError, match="NaN or infinite"):
        case.fit(model)
    assert not model.is_trained
