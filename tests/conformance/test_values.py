"""Trained models applied to values of another kind than the training data."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import ace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData
    from tests.conformance.conftest import ModelCase


def _set(adata: AnnData, kind: str) -> AnnData:
    """Replace the values of the cells by values of another kind."""
    adata = adata.copy()
    adata.X = adata.layers["counts"].astype(np.float32)
    if kind == "decimal counts":
        adata.X = adata.X * np.float32(0.9)
    if kind in ("normalised", "log-normalised", "scaled", "another total"):
        sc.pp.normalize_total(adata, target_sum=1e6 if kind == "another total" else 1e4)
    if kind in ("log-normalised", "scaled", "another total", "log counts"):
        sc.pp.log1p(adata)
    if kind == "scaled":
        adata.X = adata.X.toarray()
        sc.pp.scale(adata, max_value=10)
    return adata


REFUSED = {
    "counts": ["log-normalised", "log counts", "scaled", "normalised"],
    "log-normalised": ["counts", "decimal counts", "normalised", "scaled"],
}
WARNED = {"counts": ["decimal counts"], "log-normalised": ["another total", "log counts"]}


def _own_kind(case: ModelCase) -> str:
    return "counts" if case.cls._expects_counts else "log-normalised"


def _calls(case: ModelCase, model: Any, folder: Path) -> dict[str, Callable[[AnnData], Any]]:
    """All methods that pass cells to the model."""
    path = str(folder / "model")
    model.save(path, overwrite=True)
    calls = {
        "latent": model.get_latent_representation,
        "scorer": lambda a: model.group_scorer(a, "bulk_labels"),
        "explain": lambda a: ace.tl.explain(a, "bulk_labels", model=model),
        "load": lambda a: case.cls.load(path, adata=a),
        "loaded": lambda a: case.cls.load(path, adata=False).get_latent_representation(a),
        "fssf": lambda a: ace.tl.fssf(a, "phase", list(a.var_names[:5]), model=model, n_random=0),
    }
    for name in ("predict", "evaluate", "novelty"):
        if hasattr(model, name):
            calls[name] = getattr(model, name)
    if hasattr(case.cls, "load_query_data"):
        calls["query"] = lambda a: case.cls.load_query_data(a, model)
    return calls


def _same(one: AnnData, other: AnnData) -> None:
    pd.testing.assert_frame_equal(one.obs, other.obs)
    for place in ("uns", "obsm", "varm", "layers"):
        assert set(getattr(one, place)) == set(getattr(other, place))


def test_values_of_another_kind_are_an_error(
    case: ModelCase, model: Any, adata: AnnData, tmp_path: Path
) -> None:
    calls = _calls(case, model, tmp_path)
    for kind in REFUSED[_own_kind(case)]:
        other = _set(adata, kind)
        before = other.copy()
        for call in calls.values():
            with pytest.raises(ValueError, match=r"trained on .*, but adata\.X holds"):
                call(other)
            _same(other, before)


def test_values_that_may_differ_are_warned_about(
    case: ModelCase, model: Any, adata: AnnData
) -> None:
    for kind in WARNED[_own_kind(case)]:
        with pytest.warns(UserWarning, match=rf"the {case.name} was trained on") as caught:
            model.get_latent_representation(_set(adata, kind))
        assert caught[0].filename == __file__


def test_values_of_the_same_kind_pass(case: ModelCase, model: Any, adata: AnnData) -> None:
    other = _set(adata, _own_kind(case))
    for cells in (other, other[:40].copy(), other[other.obs["phase"] == "S"].copy()):
        model.get_latent_representation(cells)


def test_mixed_values_are_an_error_before_anything_is_written(
    case: ModelCase, adata: AnnData
) -> None:
    kinds = [_set(adata, kind) for kind in ("counts", "log-normalised")]
    both = ad.concat(kinds, index_unique="-")
    before = both.copy()
    with pytest.raises(ValueError, match="values of different kinds"):
        case.cls.setup_anndata(both, **case.setup)
    _same(both, before)


def test_a_model_of_scaled_values_requires_scaled_values(case: ModelCase, adata: AnnData) -> None:
    if case.cls._expects_counts:
        with pytest.raises(ValueError, match="negative values"):
            case.cls.setup_anndata(_set(adata, "scaled"), **case.setup)
        return
    scaled = _set(adata, "scaled")
    model = case.trained(scaled)
    model.get_latent_representation(scaled[:50].copy())
    with pytest.raises(ValueError, match=r"trained on scaled .* holds log-normalised"):
        model.get_latent_representation(_set(adata, "log-normalised"))


def test_the_kind_is_recorded_at_training(case: ModelCase, adata: AnnData) -> None:
    own = _own_kind(case)
    cells = _set(adata, "log-normalised" if own == "counts" else "counts")
    with pytest.warns(UserWarning, match="holds"):
        model = case.new(cells)
    cells.X = _set(adata, own).X
    case.fit(model)
    model.get_latent_representation(_set(adata, own))


def test_a_model_without_recorded_values_is_checked_for_counts(
    case: ModelCase, model: Any, adata: AnnData
) -> None:
    state = model._x_field["state_registry"]
    kept = state.pop("values")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.get_latent_representation(_set(adata, _own_kind(case)))
        with pytest.warns(UserWarning, match="holds"):
            model.get_latent_representation(_set(adata, "normalised"))
    finally:
        state["values"] = kept


def test_boolean_and_float16_values(case: ModelCase, adata: AnnData) -> None:
    for make in (lambda x: x.toarray().astype(np.float16), lambda x: x > 0):
        cells = adata.copy()
        cells.X = make(cells.X)
        model = case.trained(cells, max_epochs=1)
        assert np.isfinite(model.get_latent_representation(cells[:20].copy())).all()
