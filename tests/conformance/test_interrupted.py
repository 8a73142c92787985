"""Training that fails, is interrupted or diverges leaves the model unchanged and usable."""

from __future__ import annotations

import copy
import signal
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from tests.conformance.conftest import ModelCase

#: An error in a user's callback, and Ctrl-C.
ENDS = {"error": OSError("the disk is full"), "ctrl-c": KeyboardInterrupt()}


class End(Callback):
    """Raise in the second epoch."""

    def __init__(self, how: BaseException) -> None:
        self._how = how

    def on_train_batch_start(self, trainer: Any, plan: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1:
            raise self._how


def state_of(model: Any) -> dict[str, Any]:
    """Everything that training changes."""
    attributes = {k: v for k, v in vars(model).items() if k.endswith("_")}
    weights = {k: v.clone() for k, v in model.module.state_dict().items()}
    return copy.deepcopy({"weights": weights, "training": model.module.training} | attributes)


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    elif hasattr(one, "equals"):
        assert one.equals(other)
    elif not hasattr(one, "__dict__"):
        assert one == other


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("trained", [False, True])
def test_model_is_unchanged(case: ModelCase, adata: AnnData, how: str, trained: bool) -> None:
    model = case.trained(adata) if trained else case.new(adata)
    before = state_of(model)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(type(ENDS[how])):
        case.fit(model, callbacks=[End(ENDS[how])])
    assert_same(state_of(model), before)
    assert signal.getsignal(signal.SIGINT) is handler
    # Training again with the same seed gives the same result as without the interruption.
    untouched = case.trained(adata.copy()) if trained else case.new(adata.copy())
    for one in (model, untouched):
        case.fit(one, max_epochs=1)
    np.testing.assert_array_equal(case.outputs(model), case.outputs(untouched))


@pytest.mark.parametrize("trained", [False, True])
def test_diverged_training_is_an_error(case: ModelCase, adata: AnnData, trained: bool) -> None:
    model = case.trained(adata) if trained else case.new(adata)
    before = state_of(model)
    for options in case.diverging:
        with pytest.raises(RuntimeError, match=r"training diverged: .*learning rate"):
            case.fit(model, **options)
        assert_same(state_of(model), before)
    if not trained:
        with pytest.raises(RuntimeError, match=r"call train\(\)"):
            model.get_latent_representation()


def test_extreme_values_are_an_error(case: ModelCase, adata: AnnData) -> None:
    adata.X.data[::7] = 1e30
    model = case.new(adata)
    with pytest.raises((RuntimeError, ValueError), match=r"training diverged|as large as 1e\+30"):
        case.fit(model)
    assert not model.is_trained


def test_overflowing_outputs_are_an_error(model: Any, query: AnnData) -> None:
    query.X.data[:3] = 3e38
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that are not those of the training
        with pytest.raises(ValueError, match=r"as large as 3e\+38"):
            model.get_latent_representation(query)


def test_training_in_threads_equals_training_in_sequence(
    case: ModelCase, model: Any, adata: AnnData
) -> None:
    copies = [adata.copy() for _ in range(2)]
    models = [case.new(cells) for cells in copies]
    threads = [threading.Thread(target=case.fit, args=(one,)) for one in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in models:
        np.testing.assert_array_equal(case.outputs(one, adata), case.outputs(model, adata))


@pytest.mark.parametrize("at_train_end", [False, True])
def test_resumes_from_a_checkpoint(
    case: ModelCase, model: Any, adata: AnnData, tmp_path: Path, at_train_end: bool
) -> None:
    checkpoint = ModelCheckpoint(
        dirpath=tmp_path, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=at_train_end
    )
    interrupted = case.new(adata)
    with pytest.raises(KeyboardInterrupt):
        case.fit(interrupted, callbacks=[checkpoint, End(KeyboardInterrupt())])
    again = case.new(adata.copy())
    case.fit(again, ckpt_path=str(tmp_path / "epoch=0.ckpt"))
    np.testing.assert_array_equal(case.outputs(again, adata), case.outputs(model, adata))
    assert again.history.keys() == model.history.keys()
    for name, values in model.history.items():
        np.testing.assert_array_equal(
            again.history[name].to_numpy(float), values.to_numpy(float), err_msg=name
        )
        np.testing.assert_array_equal(again.history[name].index, values.index)


def test_checkpoint_within_an_epoch_is_an_error(
    case: ModelCase, adata: AnnData, tmp_path: Path
) -> None:
    checkpoint = ModelCheckpoint(
        dirpath=tmp_path, filename="{step}", save_top_k=-1, every_n_train_steps=1
    )
    case.trained(adata, callbacks=[checkpoint], max_epochs=1, batch_size=64)
    with pytest.raises(ValueError, match="in the middle of an epoch"):
        case.trained(adata, batch_size=64, ckpt_path=str(tmp_path / "step=1.ckpt"))
