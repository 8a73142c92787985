"""What is saved by SCARE only, and query cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch

from ace.model import SCARE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData

    Builder = Callable[..., SCARE]


def test_function_as_target_is_passed_to_load(
    adata: AnnData, trained: Builder, tmp_path: Path
) -> None:
    def first(z: torch.Tensor) -> torch.Tensor:
        return z[:, 0]

    model = trained(adata, max_epochs=1, ground_truth=["LYZ", "CD74"], target=first)
    model.save(tmp_path / "model")
    without = SCARE.load(tmp_path / "model", adata=adata.copy())
    np.testing.assert_array_equal(
        without.get_latent_representation(adata), model.get_latent_representation()
    )
    for ask in (without.get_attributions, without.train):
        with pytest.raises(RuntimeError, match="target=first"):
            ask()
    without.save(tmp_path / "again")
    loaded = SCARE.load(tmp_path / "again", adata=adata.copy(), target=first)
    few = {"indices": range(40), "n_samples": 1}
    pd.testing.assert_frame_equal(
        loaded.get_attributions(**few), model.get_attributions(**few), check_exact=True
    )
    loaded.train(max_epochs=1, enable_progress_bar=False)
    loaded.save(tmp_path / "third")


def test_target_passed_to_a_model_without_a_function(
    adata: AnnData, new: Builder, tmp_path: Path
) -> None:
    new(adata, ground_truth=["LYZ"]).save(tmp_path / "model")
    cells = adata[:, ::-1].copy()
    for column in [c for c in cells.obs if c.startswith("_scvi")]:
        del cells.obs[column]
    cells.uns.clear()
    with pytest.raises(ValueError, match="created with target='distance': leave target out"):
        SCARE.load(tmp_path / "model", adata=cells, target=lambda z: z[:, 0])
    with pytest.raises(TypeError, match="must be the function"):
        SCARE.load(tmp_path / "model", adata=cells, target="distance")
    assert not cells.uns


def test_options_of_the_network(adata: AnnData, new: Builder, tmp_path: Path) -> None:
    activation = {"activation_fn": torch.nn.Tanh}
    model = new(adata, extra_encoder_kwargs=activation, dispersion="gene-batch")
    model.save(tmp_path / "model")
    loaded = SCARE.load(tmp_path / "model", adata=False)
    assert loaded.init_params_ == model.init_params_
    assert any(isinstance(part, torch.nn.Tanh) for part in loaded.module.modules())
    with pytest.raises(TypeError, match="activation_fn cannot be saved"):
        new(adata, extra_encoder_kwargs={"activation_fn": lambda: torch.nn.Tanh()})


BATCHES = {
    "strings": ["a", "b"],
    "numbers": [0, 1],
    "Booleans": [False, True],
}


def _with(adata: AnnData, column: str, values: list[Any], categorical: bool) -> AnnData:
    cells = adata[:, :40].copy()
    column_values = pd.Series([values[i % 2] for i in range(cells.n_obs)], index=cells.obs_names)
    cells.obs[column] = column_values.astype("category") if categorical else column_values
    return cells


@pytest.mark.parametrize("categorical", [True, False])
@pytest.mark.parametrize("argument", ["batch_key", "categorical_covariate_keys"])
@pytest.mark.parametrize("reference", BATCHES)
@pytest.mark.parametrize("query", BATCHES)
def test_batches_of_another_type(
    adata: AnnData, reference: str, query: str, argument: str, categorical: bool
) -> None:
    cells = _with(adata, "batch", BATCHES[reference], categorical)
    SCARE.setup_anndata(cells, **{argument: "batch" if argument == "batch_key" else ["batch"]})
    model = SCARE(cells, n_hidden=4, n_latent=2)
    new_cells = _with(adata, "batch", BATCHES[query], categorical)
    before = new_cells.copy()
    if query == reference:
        assert SCARE.load_query_data(new_cells, model).adata is new_cells
        return
    with pytest.raises(ValueError, match=rf"'batch'\] holds {query}.*set up with {reference}"):
        SCARE.load_query_data(new_cells, model)
    pd.testing.assert_frame_equal(new_cells.obs, before.obs)
    assert new_cells.uns.keys() == before.uns.keys()
    assert not new_cells.obsm.keys() ^ before.obsm.keys()


@pytest.mark.parametrize("new", [0, 5])
def test_new_batch_is_learned_by_a_query_only(adata: AnnData, new: int, tmp_path: Path) -> None:
    cells = _with(adata, "batch", [1, 2], False)
    SCARE.setup_anndata(cells, batch_key="batch")
    model = SCARE(cells, n_hidden=4, n_latent=2)
    model.save(tmp_path / "model")
    query = _with(adata, "batch", [1, new], False)
    before = query.obs.copy()
    with pytest.raises(ValueError, match=rf"does not know \[{new}\].*load_query_data"):
        SCARE.load(tmp_path / "model", adata=query)
    pd.testing.assert_frame_equal(query.obs, before)
    learned = SCARE.load_query_data(query, tmp_path / "model")
    assert learned.summary_stats.n_batch == 3
