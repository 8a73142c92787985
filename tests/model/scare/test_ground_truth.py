"""All accepted forms of a ground truth, and errors for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from ace.model import SCARE, GroundTruth
from ace.model.scare._ground_truth import as_numbers, named

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

#: Sets cells up and builds a model, trained or not.
Builder = Callable[..., SCARE]
#: Arguments of every training.
QUIET = {"enable_progress_bar": False}

GENES = ["CD74", "LYZ", "NKG7"]


def _numbers(adata: AnnData, value: Any, categories: tuple[str, ...] = ()) -> Any:
    genes = adata.var_names.to_numpy()
    (term,) = named(value, adata, genes, has_labels=bool(categories))
    return as_numbers(term, genes, list(categories))


def _of(numbers: Any, cells: list[int], labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    truth, counts = numbers.of(torch.tensor(cells), torch.tensor(labels))
    return np.broadcast_to(truth.numpy(), (len(cells), truth.shape[1])), counts.numpy()


@pytest.mark.parametrize("form", ["list", "index", "repeated", "var", "flags", "object"])
def test_same_genes_for_all_cells(adata: AnnData, form: str) -> None:
    adata.var["chosen"] = adata.var_names.isin(GENES)
    value: Any = {
        "list": GENES,
        "index": adata.var_names[adata.var["chosen"]],
        "repeated": [*GENES, GENES[0]],
        "var": "chosen",
        "flags": adata.var["chosen"].to_numpy(),
        "object": GroundTruth(GENES, weight=3.0),
    }[form]
    truth, counts = _of(_numbers(adata, value), [0, 5], [0, 0])
    for row in truth:
        assert set(adata.var_names[row == 1]) == set(GENES)
        assert row.sum() == 3
    np.testing.assert_array_equal(counts, [1, 1])


def test_genes_by_category(adata: AnnData) -> None:
    numbers = _numbers(adata, {"b": ["CD74"], "a": ["LYZ", "NKG7"]}, ("a", "b", "c"))
    truth, counts = _of(numbers, [0, 1, 2, 3], [0, 1, 2, -1])
    assert set(adata.var_names[truth[0] == 1]) == {"LYZ", "NKG7"}
    assert set(adata.var_names[truth[1] == 1]) == {"CD74"}
    np.testing.assert_array_equal(
        counts, [1, 1, 0, 0]
    )  # label "c" and unknown labels are not covered


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_genes_by_cell(adata: AnnData, kind: Any) -> None:
    table = np.random.default_rng(0).random(adata.shape) < 0.1
    truth, counts = _of(_numbers(adata, kind(table)), [3, 600], [0, 0])
    np.testing.assert_array_equal(truth, table[[3, 600]])
    np.testing.assert_array_equal(counts, [1, 1])


def test_unnamed_ground_truths_are_numbered(adata: AnnData) -> None:
    genes = adata.var_names.to_numpy()
    found = named([GroundTruth(["LYZ"]), GroundTruth(["CD74"], name="mhc")], adata, genes, False)
    assert [term.name for term in found] == ["0", "mhc"]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (["CD74", "LYS"], ValueError, r"1 of 2 genes.*'LYS'.*Did you mean 'LYZ' for 'LYS'"),
        ("nowhere", KeyError, "no column 'nowhere' in adata.var"),
        ("CD74", KeyError, r"single gene, use a list: \['CD74'\]"),
        ("means", ValueError, "must be Boolean"),
        ({"a": ["CD74"]}, ValueError, "pass labels_key"),
        (np.ones((3, 3)), ValueError, r"cells × genes, \(700, 765\), got \(3, 3\)"),
        (np.full((700, 765), 0.5), ValueError, "0 and 1 only"),
        (np.ones(5, dtype=bool), ValueError, "one value per gene, 765, got 5"),
        (3.0, TypeError, "got float"),
        ([GroundTruth(["CD74"]), ["LYZ"]], TypeError, "GroundTruth objects only"),
        (
            [GroundTruth(["CD74"], name="a"), GroundTruth(["LYZ"], name="a")],
            ValueError,
            "must be unique",
        ),
        (GroundTruth(["CD74"], weight=0), ValueError, "must be a number above 0"),
        (GroundTruth("CD74"), KeyError, "single gene"),
        (GroundTruth(["CD74"], loss="l2"), ValueError, "loss='l2' is not one of"),
    ],
)
def test_invalid_ground_truths(
    adata: AnnData, value: Any, error: type[Exception], message: str
) -> None:
    adata.var["means"] = 0.3
    SCARE.setup_anndata(adata)
    with pytest.raises(error, match=message):
        SCARE(adata, ground_truth=value)


def test_unknown_category(adata: AnnData, new: Builder) -> None:
    with pytest.raises(ValueError, match=r"the categories \['CD19\+ Bee'\], but the labels"):
        new(adata, ground_truth={"CD19+ Bee": ["CD74"]})


def test_pandas_objects_are_matched_by_name(adata: AnnData) -> None:
    genes = adata.var_names[::-1]
    series = pd.Series(genes.isin(GENES), index=genes)
    truth, _ = _of(_numbers(adata, series), [0], [0])
    assert set(adata.var_names[truth[0] == 1]) == set(GENES)
    frame = pd.DataFrame(False, index=adata.obs_names[::-1], columns=genes)
    frame.loc[adata.obs_names[4], "LYZ"] = True
    truth, _ = _of(_numbers(adata, frame), [3, 4], [0, 0])
    assert truth[0].sum() == 0
    assert list(adata.var_names[truth[1] == 1]) == ["LYZ"]
    truth, _ = _of(_numbers(adata, pd.Series(GENES)), [0], [0])
    assert set(adata.var_names[truth[0] == 1]) == set(GENES)
    with pytest.raises(ValueError, match="names of the genes"):
        _numbers(adata, series.iloc[1:])
    with pytest.raises(ValueError, match="names of the cells"):
        _numbers(adata, frame.iloc[1:])


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ({"ground_truth": []}, 'use loss="excess"'),
        ({"ground_truth": [], "loss": "excess", "transform": "abs_share"}, "always sum to 1"),
        ({"ground_truth": GENES, "disjoint": True}, "pass at least two"),
        (
            {"ground_truth": [GroundTruth(["LYZ"]), GroundTruth(["CD74"])], "disjoint": True,
             "n_latent": 2},
            "n_latent=2: use at least 3",
        ),
        (
            {"ground_truth": [GroundTruth(["LYZ"]), GroundTruth(["CD74"])], "disjoint": True,
             "target": "decoder_sum"},
            'use target="distance"',
        ),
        ({"target": "encoder"}, "target='encoder' is not one of"),
        ({"loss": "l1"}, "loss='l1' is not one of"),
        ({"reference": "labels"}, "Did you mean 'label'"),
        ({"n_latent": 0}, "whole number from 1"),
        ({"log_variational": False}, "log_variational=True only"),
        ({"latent_distribution": "ln"}, "latent_distribution='normal' only"),
        ({"dispersion": "gene-label"}, "dispersion='gene-label' is not one of"),
    ],
)  # fmt: skip
def test_invalid_choices(adata: AnnData, init: dict[str, Any], message: str, new: Builder) -> None:
    with pytest.raises(ValueError, match=message):
        new(adata, **init)


def test_references_by_label_require_labels(adata: AnnData) -> None:
    SCARE.setup_anndata(adata)
    with pytest.raises(ValueError, match="pass labels_key"):
        SCARE(adata, reference="label")
    assert SCARE(adata).init_params_["non_kwargs"]["reference"] == "neighbor"


@pytest.mark.parametrize("form", ["var", "category", "cells", "several"])
def test_every_form_trains_and_is_saved(
    adata: AnnData, form: str, tmp_path: Path, trained: Builder
) -> None:
    adata.var["chosen"] = adata.var_names.isin(GENES)
    value: Any = {
        "var": "chosen",
        "category": {"CD19+ B": ["CD74"], "CD56+ NK": ["NKG7"]},
        "cells": sparse.csr_matrix(np.random.default_rng(0).random(adata.shape) < 0.1),
        "several": [GroundTruth(["LYZ"], weight=2.0), GroundTruth("chosen", name="b")],
    }[form]
    model = trained(adata, ground_truth=value, max_epochs=1)
    model.save(str(tmp_path / "model"))
    other = adata.copy()
    del other.var["chosen"]  # its genes are saved with the model
    SCARE.setup_anndata(other, batch_key="phase", labels_key="bulk_labels")
    loaded = SCARE.load(str(tmp_path / "model"), adata=other)
    before = loaded.get_latent_representation()
    np.testing.assert_array_equal(before, model.get_latent_representation())
    for each in (model, loaded):
        each.train(max_epochs=1, **QUIET)
    np.testing.assert_array_equal(
        loaded.get_latent_representation(), model.get_latent_representation()
    )
    assert not np.array_equal(before, model.get_latent_representation())


def test_ground_truth_by_cell_belongs_to_its_cells(
    adata: AnnData, tmp_path: Path, trained: Builder
) -> None:
    model = trained(adata, ground_truth=np.eye(700, 765, dtype=bool), max_epochs=1)
    model.save(str(tmp_path / "model"))
    for others in (adata[:300].copy(), adata[::-1].copy()):
        loaded = SCARE.load(str(tmp_path / "model"), adata=others)
        with pytest.raises(ValueError, match="belongs to other cells"):
            loaded.train(max_epochs=1, **QUIET)
    loaded = SCARE.load(str(tmp_path / "model"), adata=adata.copy())
    loaded.train(max_epochs=1, **QUIET)


def test_losses_of_different_scales_require_a_weight(adata: AnnData, new: Builder) -> None:
    truths = [GroundTruth(["LYZ"], loss="mse", weight=100.0), GroundTruth(["CD74"])]
    model = new(adata, ground_truth=truths)
    with pytest.raises(ValueError, match=r"\['mse', 'share'\].*different scales"):
        model.train(max_epochs=1, **QUIET)
    model.train(max_epochs=1, plan_kwargs={"attribution_weight": 10.0}, **QUIET)
    assert model.is_trained
