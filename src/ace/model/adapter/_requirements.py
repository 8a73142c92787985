"""Which models can be differentiated in the genes, and what they require of cells."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.model.base import BaseModelClass

from ace import _checks
from ace._checks import _columns
from ace._listed import listed
from ace._threads import seeded
from ace.model.adapter._encoder import MEANS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    from scvi.data import AnnDataManager


def require_encoder(model: Any) -> None:
    """Raise unless a model is trained and its encoder can be differentiated.

    Raises
    ------
    TypeError
        If it is not a model of scvi-tools, or does not use PyTorch.
    RuntimeError
        If it is not trained.
    ValueError
        If it is minified, or its latent space has no mean in closed form.
    """
    name = type(model).__name__
    if not isinstance(model, BaseModelClass) or not hasattr(model, "get_latent_representation"):
        raise _checks.not_a_model(model)
    module = model.module
    if not isinstance(module, torch.nn.Module) or not hasattr(module, "_get_inference_input"):
        raise TypeError(
            f"the network of the {name} is not a PyTorch module with an inference step, so it "
            "cannot be differentiated. Train a scvi.model.SCVI on the same cells, or leave model "
            "out."
        )
    if not model.is_trained_:
        raise RuntimeError(f"this {name} is not trained: call train() first.")
    if getattr(model, "minified_data_type", None) is not None:
        raise ValueError(
            f"the {name} is minified: its AnnData holds latent values instead of the genes. Load "
            "it with the full AnnData."
        )
    if getattr(module, "latent_distribution", "normal") == "ln":
        raise ValueError(
            f"the latent space of the {name} is logistic normal, and the mean of this "
            "distribution has no closed form. Train a model with latent_distribution='normal'."
        )


def require_registered_genes(model: Any) -> None:
    """Raise unless a model of scvi-tools holds an AnnData in which its genes are registered.

    Raises
    ------
    ValueError
        If it was loaded without an AnnData, was set up with a MuData, or registers no genes.
    """
    name = type(model).__name__
    if model.adata is None or model.adata_manager is None:
        raise ValueError(
            f"the {name} was loaded without an AnnData, which is needed to read other cells: load "
            f"it with `{name}.load(path, adata=adata)`."
        )
    place = model.registry_["field_registries"].get(REGISTRY_KEYS.X_KEY, {}).get("data_registry")
    if place is None:
        raise ValueError(f"the {name} registers no genes ({REGISTRY_KEYS.X_KEY!r}) to explain.")
    if not isinstance(model.adata, AnnData) or place.get("mod_key") is not None:
        raise ValueError(
            f"the {name} was set up with a MuData, but only models of one AnnData can be "
            "explained. Set up a model with the AnnData of the genes, mdata.mod[...]."
        )


def require_columns(
    registries: dict[str, Any], keys: Iterable[str], obs: pd.DataFrame, name: str
) -> None:
    """Raise unless ``obs`` has the columns that a model registers, in categories that it knows.

    Parameters
    ----------
    registries
        Registry of each field of the model.
    keys
        Fields to check.
    obs
        Columns of the cells.
    name
        Name of the model, for the message.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a category is missing or unknown to the model.
    """
    known: dict[str, Any] = {}
    for key in keys:
        state = registries[key]["state_registry"]
        if "categorical_mapping" in state:
            known[state["original_key"]] = state["categorical_mapping"]
        known |= state.get("mappings", {})
        known |= dict.fromkeys(state.get("columns", []))
    for column, categories in known.items():
        # scvi-tools fills in such a column with a single category; any model may have written it.
        if str(column).startswith("_scvi_"):
            continue
        if column not in obs:
            raise KeyError(
                f"the {name} reads adata.obs[{column!r}], which does not exist; adata.obs has "
                f"{listed(obs.columns)}."
            )
        values = _columns.column_of(obs, column)
        if categories is None:
            continue
        labels = _columns.labels_of(values, f"adata.obs[{column!r}]").remove_unused_categories()
        if (labels.codes < 0).any():
            raise ValueError(
                f"adata.obs[{column!r}], which the {name} reads, is missing for "
                f"{int((labels.codes < 0).sum())} cells: leave them out, or give them a value."
            )
        unknown = sorted(set(labels.categories) - set(categories), key=str)
        if unknown:
            raise ValueError(
                f"adata.obs[{column!r}] has categories that the {name} was not trained with: "
                f"{listed(unknown)}; it knows {listed(categories)}. Leave these cells out, or "
                f"train the model on them with {name}.load_query_data."
            )


def require_own_latent_space(
    model: Any,
    embed: Callable[[int], np.ndarray],
    registered: Callable[[], AnnDataManager],
) -> None:
    """Raise unless an encoder returns the latent space that the model itself returns.

    Parameters
    ----------
    model
        The model.
    embed
        Embeds a few cells through the encoder, with a seed.
    registered
        Registers the same cells, which may be repeated at the end.

    Raises
    ------
    ValueError
        If the encoder cannot be evaluated, draws at random, or returns other values.
    """
    name = type(model).__name__
    try:
        found, again = embed(0), embed(1)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"the encoder of the {name} cannot be explained: {error}.") from error
    if found.ndim != 2 or not np.array_equal(found, again):
        raise ValueError(
            f"the {name} samples its latent space at random and does not return the mean (one of "
            f"{MEANS[:3]}), so it cannot be differentiated."
        )
    own = type(model).get_latent_representation
    if "dataloader" not in inspect.signature(own).parameters:
        return
    loader = model._data_loader_cls(registered(), batch_size=len(found))
    try:
        with seeded(0, model.device):
            expected = np.asarray(model.get_latent_representation(dataloader=loader))
        expected = expected[: len(found)]
    except (AttributeError, TypeError):  # scvi-tools expects qz, but there is only z
        return
    if found.shape != expected.shape or not np.allclose(
        found, expected, rtol=1e-3, atol=1e-3 * max(float(np.abs(expected).max()), 1e-6)
    ):
        raise ValueError(
            f"get_latent_representation of the {name} does not return the mean of the posterior "
            "of its encoder, so an explanation would not be of its latent space."
        )
