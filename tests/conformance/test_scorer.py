"""The group scorer of a model, from which explanations are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.special import expit

if TYPE_CHECKING:
    from anndata import AnnData
    from tests.conformance.conftest import ModelCase


def test_scorer_has_names_of_genes_and_groups(case: ModelCase, model: Any) -> None:
    scorer = model.group_scorer()
    assert scorer.feature_names == tuple(model.var_names)
    assert all(isinstance(name, str) for name in (*scorer.groups, *scorer.feature_names))
    assert scorer.device == model.device
    assert not any(part.training for part in scorer.modules())


def test_scores_agree_with_predictions(case: ModelCase, model: Any, query: AnnData) -> None:
    if not case.predicts:
        pytest.skip("this model predicts nothing")
    scorer = model.group_scorer()
    scores = scorer(*case.scorer_input(model, query)).detach().cpu().numpy()
    assert scores.shape == (90, len(scorer.groups))
    np.testing.assert_array_equal(np.array(scorer.groups)[scores.argmax(1)], model.predict(query))
    probabilities = model.predict(query, soft=True).to_numpy()
    np.testing.assert_allclose(expit(scores), probabilities, rtol=1e-3, atol=1e-6)


def test_training_labels_are_scored_by_the_model_itself(
    case: ModelCase, model: Any, query: AnnData
) -> None:
    if not case.classifies:
        pytest.skip("an embedding describes any labels by prototypes, those it was given too")
    x = case.scorer_input(model, query)
    named = model.group_scorer(groupby=case.setup["labels_key"])
    torch.testing.assert_close(named(*x), model.group_scorer()(*x), rtol=0, atol=0)


def test_other_groups_are_scored_in_the_embedding(
    case: ModelCase, model: Any, adata: AnnData
) -> None:
    adata.obs["group"] = (
        adata.obs["bulk_labels"].astype(str).where(adata.obs["bulk_labels"] == "CD19+ B", "other")
    )
    scorer = model.group_scorer(adata, "group", n_prototypes=4)
    assert scorer.groups == ("CD19+ B", "other")
    assert scorer.feature_names == tuple(model.var_names)
    scores = scorer(*case.scorer_input(model, adata))
    given = (adata.obs["group"] == "other").to_numpy().astype(int)
    assert (scores.argmax(1).cpu().numpy() == given).mean() > 0.9
    again = model.group_scorer(adata, "group", n_prototypes=4)
    torch.testing.assert_close(again(*case.scorer_input(model, adata)), scores, rtol=0, atol=0)
    assert not any(part.training for part in scorer.modules())


def test_gradients_do_not_accumulate_in_the_model(
    case: ModelCase, model: Any, query: AnnData
) -> None:
    scorer = model.group_scorer()
    x, *context = case.scorer_input(model, query)
    x.requires_grad_()
    scorer(x, *context)[:, 0].sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.module.parameters())
    assert all(p.grad is None for p in scorer.parameters())


def test_further_training_does_not_change_the_scorer(
    case: ModelCase, adata: AnnData, query: AnnData
) -> None:
    model = case.trained(adata)
    inputs = case.scorer_input(model, query)
    scorer = model.group_scorer()
    before = scorer(*inputs)
    case.fit(model)
    torch.testing.assert_close(scorer(*inputs), before, rtol=0, atol=0)
    assert (model.group_scorer()(*inputs) - before).abs().max() > 0


def test_invalid_groups_are_an_error(case: ModelCase, model: Any, adata: AnnData) -> None:
    with pytest.raises(TypeError, match="groupby='bulk_labels'"):
        model.group_scorer("bulk_labels")
    with pytest.raises(KeyError, match="no column 'nowhere'"):
        model.group_scorer(adata, "nowhere")
    adata.obs["holes"] = adata.obs["bulk_labels"].where(adata.obs["bulk_labels"] != "CD56+ NK")
    with pytest.raises(ValueError, match="missing for 31 cells"):
        model.group_scorer(adata, "holes")
    adata.obs["one"] = "same"
    with pytest.raises(ValueError, match="two"):
        model.group_scorer(adata, "one")
