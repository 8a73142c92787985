"""Trained models applied to other cells: genes are matched by name, and nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from tests.conformance.conftest import ModelCase


def _with_matrix(adata: AnnData, fmt: str, folder: Path) -> AnnData:
    """The same cells with ``X`` in another format."""
    other = adata.copy()
    dense = adata.X.toarray()
    match fmt:
        case "csr" | "csc" | "csr_array" | "csc_array":
            other.X = getattr(sparse, fmt if "_" in fmt else f"{fmt}_matrix")(dense)
        case "dense":
            other.X = dense
        case "fortran":
            other.X = np.asfortranarray(dense)
        case "float64":
            other.X = sparse.csr_matrix(dense.astype(np.float64))
        case "dask" | "dask_csr":
            blocks = da.from_array(dense, chunks=(64, dense.shape[1]))
            other.X = blocks.map_blocks(sparse.csr_matrix) if fmt == "dask_csr" else blocks
        case "backed" | "backed_dense" | "backed_csc":
            other.X = {
                "backed": sparse.csr_matrix,
                "backed_dense": np.asarray,
                "backed_csc": sparse.csc_matrix,
            }[fmt](dense)
            other.write_h5ad(folder / "cells.h5ad")
            other = ad.read_h5ad(folder / "cells.h5ad", backed="r")
    return other


FORMATS = [
    "csr",
    "csc",
    "csr_array",
    "csc_array",
    "dense",
    "fortran",
    "float64",
    "dask",
    "dask_csr",
    "backed",
    "backed_dense",
    "backed_csc",
]


@pytest.mark.parametrize("fmt", FORMATS)
def test_format_of_query_does_not_matter(
    case: ModelCase, model: Any, query: AnnData, fmt: str, tmp_path: Path
) -> None:
    expected = case.outputs(model, query)
    other = _with_matrix(query, fmt, tmp_path)
    np.testing.assert_array_equal(case.outputs(model, other), expected)
    shuffled = np.random.default_rng(0).permutation(90)
    again = case.outputs(model, other, indices=shuffled, batch_size=128)
    np.testing.assert_allclose(again, expected[shuffled], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fmt", FORMATS)
def test_format_of_training_data_does_not_matter(
    case: ModelCase, model: Any, adata: AnnData, query: AnnData, fmt: str, tmp_path: Path
) -> None:
    other = case.trained(_with_matrix(adata, fmt, tmp_path))
    np.testing.assert_array_equal(case.outputs(other, query), case.outputs(model, query))


def test_shuffled_genes_are_matched_by_name(case: ModelCase, model: Any, query: AnnData) -> None:
    genes = np.random.default_rng(1).permutation(query.n_vars)
    np.testing.assert_array_equal(
        case.outputs(model, query[:, genes].copy()), case.outputs(model, query)
    )


def test_additional_genes_are_ignored(case: ModelCase, model: Any, query: AnnData) -> None:
    further = ad.AnnData(
        sparse.csr_matrix(np.full((query.n_obs, 3), 2.5, dtype=np.float32)),
        obs=query.obs,
        var=pd.DataFrame(index=["further-1", "further-2", "further-3"]),
    )
    wide = ad.concat([further, query], axis=1)
    wide.obs = query.obs.copy()
    np.testing.assert_array_equal(case.outputs(model, wide), case.outputs(model, query))


def test_missing_genes_are_an_error(model: Any, query: AnnData) -> None:
    lacking = query[:, 2:].copy()
    with pytest.raises(
        ValueError, match=rf"2 of the 765 genes of the model.*{query.var_names[0]}"
    ):
        model.get_latent_representation(lacking)


def test_duplicate_gene_names_are_an_error(model: Any, query: AnnData) -> None:
    query.var_names = [query.var_names[1], *query.var_names[1:]]
    with pytest.raises(ValueError, match="var_names_make_unique"):
        model.get_latent_representation(query)


def test_minibatch_size_does_not_matter(case: ModelCase, model: Any, query: AnnData) -> None:
    whole = case.outputs(model, query, batch_size=1000)
    for batch_size in (1, 7, 89):  # 90 cells: minibatches of one, and a last one of one
        np.testing.assert_allclose(
            case.outputs(model, query, batch_size=batch_size), whole, rtol=1e-4, atol=1e-5
        )


def test_cells_are_selected_by_index_or_mask(case: ModelCase, model: Any, query: AnnData) -> None:
    whole = case.outputs(model, query)
    mask = np.zeros(90, dtype=bool)
    mask[[3, 50]] = True
    for indices in ([3, 50], np.array([3, -40]), mask):
        np.testing.assert_allclose(
            case.outputs(model, query, indices=indices), whole[[3, 50]], rtol=1e-4, atol=1e-5
        )
    assert case.outputs(model, query, indices=[]).shape == (0, whole.shape[1])
    with pytest.raises(ValueError, match="has 90 cells"):
        model.get_latent_representation(query, indices=[90])
    with pytest.raises(ValueError, match="batch_size must be a positive whole number"):
        model.get_latent_representation(query, batch_size=0)


def test_query_is_unchanged(case: ModelCase, model: Any, query: AnnData) -> None:
    shuffled = query[:, ::-1].copy()
    before = shuffled.copy()
    case.outputs(model, shuffled)
    pd.testing.assert_frame_equal(shuffled.obs, before.obs)
    pd.testing.assert_frame_equal(shuffled.var, before.var)
    assert dict(shuffled.uns).keys() == dict(before.uns).keys()
    assert set(shuffled.obsm) == set(before.obsm)
    assert set(shuffled.layers) == set(before.layers)
    assert type(shuffled.X) is type(before.X)
    np.testing.assert_array_equal(shuffled.X.data, before.X.data)
    np.testing.assert_array_equal(shuffled.X.indices, before.X.indices)


@pytest.mark.parametrize("fmt", ["csr", "csc", "dense"])
def test_views_are_read_without_a_copy(
    case: ModelCase, model: Any, query: AnnData, fmt: str, tmp_path: Path
) -> None:
    whole = case.outputs(model, query)
    view = _with_matrix(query, fmt, tmp_path)[40:60, ::-1]
    np.testing.assert_allclose(case.outputs(model, view), whole[40:60], rtol=1e-4, atol=1e-5)
    assert view.is_view


def test_view_of_a_file_is_an_error(model: Any, query: AnnData, tmp_path: Path) -> None:
    view = _with_matrix(query, "backed", tmp_path)[:10]
    with pytest.raises(ValueError, match=r"indices=.*to_memory"):
        model.get_latent_representation(view)


def test_copy_of_the_training_cells_is_read(case: ModelCase, model: Any) -> None:
    copied = model.adata.copy()
    np.testing.assert_array_equal(case.outputs(model, copied), case.outputs(model))


def test_counts_are_an_error_unless_expected(model: Any, query: AnnData) -> None:
    query.X = query.layers["counts"].copy()
    if model._expects_counts:
        model.get_latent_representation(query)
        return
    with pytest.raises(ValueError, match=r"trained on log-normalised values, but .*holds counts"):
        model.get_latent_representation(query)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_an_error(model: Any, query: AnnData, value: float) -> None:
    query.X.data[5] = value
    with pytest.raises(ValueError, match="NaN or infinite"):
        model.get_latent_representation(query)


def test_layer_must_exist(case: ModelCase, adata: AnnData, query: AnnData) -> None:
    adata.layers["expression"] = adata.X.copy()
    adata.X = None
    case.cls.setup_anndata(adata, **case.setup | {"layer": "expression"})
    model = case.cls(adata, **case.init)
    case.fit(model)
    assert model.input_layer == "expression"
    with pytest.raises(KeyError, match="no layer 'expression'"):
        model.get_latent_representation(query)
    query.layers["expression"] = query.X.copy()
    assert len(model.get_latent_representation(query)) == 90


def test_untrained_model_is_an_error(case: ModelCase, adata: AnnData) -> None:
    model = case.new(adata)
    with pytest.raises(RuntimeError, match=r"call train\(\)"):
        model.get_latent_representation()
    with pytest.raises(RuntimeError, match=r"call train\(\)"):
        model.group_scorer()


def test_labels_are_not_needed(case: ModelCase, model: Any, query: AnnData) -> None:
    assert "bulk_labels" not in query.obs
    if not case.predicts:
        assert model.get_latent_representation(query).shape == (90, model.module.n_latent)
        return
    labels = model.predict(query)
    probabilities = model.predict(query, soft=True)
    assert list(probabilities.index) == list(query.obs_names)
    np.testing.assert_array_equal(
        probabilities.columns[probabilities.to_numpy().argmax(1)], labels
    )
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_only_minibatches_become_dense(
    case: ModelCase, adata: AnnData, query: AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ace.model.base._reader import MatrixReader

    sizes = []
    dense = MatrixReader.dense
    monkeypatch.setattr(
        MatrixReader, "dense", lambda self, rows: sizes.append(len(rows)) or dense(self, rows)
    )
    for name in ("toarray", "todense"):  # of the matrix itself, not of its rows
        original = getattr(sparse.csr_matrix, name)

        def bounded(self: Any, *args: Any, _original: Any = original, **kwargs: Any) -> Any:
            assert self.shape[0] <= 32, "more than a minibatch was made dense"
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(sparse.csr_matrix, name, bounded)
    model = case.trained(adata, batch_size=32)
    case.outputs(model, query, batch_size=16)
    assert max(sizes) == 32
    assert sizes[-1] <= 16
