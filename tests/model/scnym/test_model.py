from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from mudata import MuData
from scipy import sparse
from sklearn.metrics import roc_auc_score

from ace.model import SCNYM

if TYPE_CHECKING:
    from pathlib import Path

QUIET = {"enable_progress_bar": False}


#: The simulated values are not made from counts, so their kind cannot be determined.
pytestmark = [
    pytest.mark.filterwarnings("ignore:the SCNYM was trained on"),
    pytest.mark.filterwarnings("ignore:the cells of adata.X were not normalised in the same way"),
]


def _cells(seed: int = 0, shift: float = 0.0) -> ad.AnnData:
    """Three types of 60, 40 and 20 cells with four markers each; six genes may be shifted."""
    rng = np.random.default_rng(seed)
    codes = np.repeat([0, 1, 2], [60, 40, 20])
    x = rng.gamma(2, 0.3, size=(120, 20))
    for code in range(3):
        x[codes == code, 4 * code : 4 * code + 4] += 1.5
    x[:, 14:] = np.maximum(x[:, 14:] + shift, 0)
    return ad.AnnData(
        sparse.csr_matrix(x.astype(np.float32)),
        obs=pd.DataFrame(
            {"truth": pd.Categorical(np.array(["T", "B", "a/b"])[codes])},
            index=[f"cell{seed}_{i}" for i in range(120)],
        ),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(20)]),
    )


@pytest.fixture
def cells() -> ad.AnnData:
    """A labelled reference, and an unlabelled experiment in which other genes are shifted."""
    both = ad.concat([_cells(0), _cells(1, shift=1.0)])
    both.obs["known"] = both.obs["truth"].astype(str)
    both.obs.loc[both.obs_names[120:], "known"] = "Unknown"
    both.obs["donor"] = np.resize(["x", "y", "z"], 240)
    both.obs["chip"] = np.repeat(["1", "2"], 120)
    return both


def _trained(cells: ad.AnnData, setup: dict[str, Any] | None = None, **train: Any) -> SCNYM:
    SCNYM.setup_anndata(cells, "known", **(setup or {}))
    model = SCNYM(cells, n_hidden=32, random_state=0)
    model.train(**{"max_epochs": 40, "batch_size": 64} | QUIET | train)
    return model


@pytest.fixture(scope="module")
def model() -> SCNYM:
    """A trained model, shared by the tests that do not change it."""
    return _trained(cells.__wrapped__())  # type: ignore[attr-defined]


# -- labels --------------------------------------------------------------------------------------


def test_labels_are_transferred(model: SCNYM) -> None:
    cells = model.adata
    assert model.labels.tolist() == ["B", "T", "a/b"]
    predicted = model.predict(indices=np.arange(120, 240))
    assert (predicted == cells.obs["truth"].iloc[120:]).mean() > 0.95
    # all unlabelled cells are used for training, and none for validation
    used = np.concatenate([model.train_indices, model.validation_indices])
    np.testing.assert_array_equal(np.sort(used), np.arange(120))


def test_given_labels_are_kept(cells: ad.AnnData) -> None:
    cells.obs.loc[cells.obs_names[:5], "known"] = "B"  # they are T cells
    model = _trained(cells)
    predicted = model.predict()
    assert (predicted[:5] == "B").all()
    assert (predicted[:120] == cells.obs["known"].iloc[:120]).all()
    free = model.predict(keep_labels=False)
    np.testing.assert_array_equal(free[120:], predicted[120:])
    assert (free[:5] == "T").all()
    # Probabilities are those of the network, and labels of other cells are not read.
    soft = model.predict(soft=True)
    np.testing.assert_array_equal(soft.columns[soft.to_numpy().argmax(1)], free)
    np.testing.assert_array_equal(model.predict(cells.copy()), free)


def test_training_is_supervised_if_all_cells_are_labelled(cells: ad.AnnData) -> None:
    reference = cells[:120].copy()
    model = _trained(reference)
    assert {"train_unsupervised", "train_adversary"}.isdisjoint(model.history)
    assert model.evaluate()["accuracy"] == 1.0
    assert model.evaluate()["n_cells"] == len(model.validation_indices)


def test_rare_label_is_learned(cells: ad.AnnData) -> None:
    """A single cell of one type is labelled."""
    rows = np.flatnonzero(cells.obs["known"] == "a/b")
    cells.obs.loc[cells.obs_names[rows[1:]], "known"] = "Unknown"
    model = _trained(cells)
    assert rows[0] in model.train_indices
    assert model.labels.tolist() == ["B", "T", "a/b"]
    given = cells.obs["known"].iloc[model.train_indices]
    assert (model.predict(indices=model.train_indices, keep_labels=False) == given).mean() > 0.95


def test_imbalance_of_parts(cells: ad.AnnData) -> None:
    for rows in (np.arange(123), np.r_[0:240:12, 120:240]):
        model = _trained(cells[np.unique(rows)].copy(), max_epochs=20)
        assert np.isfinite(model.predict(soft=True).to_numpy()).all()


# -- domains -------------------------------------------------------------------------------------


def test_two_domains_without_a_column(model: SCNYM) -> None:
    assert model.domain_keys == ()
    soft = model.predict_domain(soft=True)
    assert soft.columns.tolist() == ["labelled", "unlabelled"]
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-5)
    assert set(model.predict_domain()) <= {"labelled", "unlabelled"}


def test_several_columns_of_domains(cells: ad.AnnData) -> None:
    model = _trained(cells, {"domain_key": ["donor", "chip"]}, max_epochs=5)
    assert model.domain_keys == ("donor", "chip")
    assert [a[-1].out_features for a in model.module.adversaries] == [3, 2]
    soft = model.predict_domain(domain_key="chip", soft=True)
    assert soft.columns.tolist() == ["1", "2"]
    assert soft.shape == (240, 2)
    with pytest.raises(ValueError, match=r"choose one of the columns.*donor.*chip"):
        model.predict_domain()
    with pytest.raises(ValueError, match=r"one of .*got 'batch'"):
        model.predict_domain(domain_key="batch")
    other = cells[:10].copy()
    del other.obs["donor"], other.obs["chip"]  # prediction does not need domains
    assert model.predict(other).shape == (10,)


def test_adversary_hides_the_domain(cells: ad.AnnData) -> None:
    """Domains are harder to classify in the embedding if the adversary is used."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    accuracy = {}
    for weight in (0.0, 1.0):
        recipe = {"adversary_weight": weight, "adversary_ramp_epochs": 5}
        model = _trained(cells, plan_kwargs=recipe, preset="no_mixmatch")
        z = model.get_latent_representation()
        z = (z - z.mean(0)) / (z.std(0) + 1e-6)
        classifier = LogisticRegression()
        accuracy[weight] = cross_val_score(classifier, z, np.repeat([0, 1], 120), cv=5).mean()
    assert accuracy[1.0] < accuracy[0.0] - 0.05


@pytest.mark.parametrize(
    ("setup", "error", "message"),
    [
        ({"domain_key": "plate"}, KeyError, "no column 'plate'"),
        ({"domain_key": ["donor", "donor"]}, ValueError, "names a column twice"),
    ],
)
def test_invalid_domains_are_an_error(
    cells: ad.AnnData, setup: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SCNYM.setup_anndata(cells, "known", **setup)
    assert not [column for column in cells.obs if column.startswith("_scvi")]


# -- calibration and novelty ----------------------------------------------------------------------


def test_temperature_maximises_the_likelihood() -> None:
    from ace.model.scnym._calibration import fit_temperature

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 4)) * 2
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = torch.from_numpy(np.array([rng.choice(4, p=row) for row in p]))
    for factor in (0.4, 1.0, 3.0):  # the logits are scaled by this factor
        found = fit_temperature(torch.from_numpy(logits * factor).float(), labels)
        assert found == pytest.approx(factor, rel=0.1)
    assert fit_temperature(torch.empty(0, 4), torch.empty(0, dtype=torch.long)) == 1.0


@pytest.mark.parametrize("n_labels", [2, 10])
def test_temperature_of_correct_predictions_uses_platts_targets(n_labels: int) -> None:
    """If nine of nine cells are correct, Platt's target is 10/11."""
    from ace.model.scnym._calibration import fit_temperature

    logits = torch.linspace(-20, 0, n_labels).repeat(9, 1)
    logits[:, -1] = 20.0
    temperature = fit_temperature(logits, torch.full((9,), n_labels - 1))
    confidence = torch.softmax(logits / temperature, 1)[:, -1]
    np.testing.assert_allclose(confidence, 10 / 11, rtol=1e-3)


def test_probabilities_are_scaled_by_the_temperature(model: SCNYM) -> None:
    x = torch.from_numpy(model.adata.X[:7].toarray()).to(model.device)
    with torch.no_grad():
        raw = model.module.classifier(model.module.embed(x))
    soft = torch.softmax(raw / model.temperature_, 1).cpu().numpy()
    np.testing.assert_allclose(model.predict(soft=True).to_numpy()[:7], soft, rtol=1e-5)
    assert float(model.module.temperature) == pytest.approx(model.temperature_)
    assert model.temperature_ != 1.0


def test_novelty_by_hand(model: SCNYM) -> None:
    z = torch.from_numpy(model.get_latent_representation()).double()
    with torch.no_grad():
        logits = model.module.classifier(z.float().to(model.device)).double().cpu()
    given = pd.Index(model.labels).get_indexer(model.adata.obs["known"])
    train, held_out = model.train_indices, model.validation_indices
    means = np.stack([z[train][given[train] == c].mean(0).numpy() for c in range(3)])
    rest = z[train].numpy() - means[given[train]]
    covariance = rest.T @ rest / len(train)
    covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / 32 * np.eye(32)
    apart = z.numpy()[:, None] - means
    squares = np.einsum("nci,ij,ncj->nc", apart, np.linalg.inv(covariance), apart)
    parts = np.stack([-torch.logsumexp(logits, 1).numpy(), np.sqrt(squares.min(1))], axis=1)
    known = parts[held_out]
    medians = np.sort(known, axis=0)[(len(known) - 1) // 2]
    energy, distance = ((parts - medians) / known.std(0)).T
    np.testing.assert_allclose(model.novelty(), energy + 2 * distance, rtol=1e-3, atol=1e-3)


def test_novelty_of_a_cell_does_not_depend_on_other_cells(model: SCNYM) -> None:
    """Nor on the size of minibatches."""
    scores = model.novelty()
    rows = np.random.default_rng(0).permutation(240)[:50]
    np.testing.assert_allclose(model.novelty(indices=rows, batch_size=7), scores[rows], atol=1e-4)
    assert model.novelty(indices=[]).shape == (0,)


def test_most_known_cells_are_below_the_threshold(model: SCNYM) -> None:
    scores = model.novelty(indices=model.validation_indices)
    assert (scores <= model.novelty_threshold_).mean() >= 0.95
    assert (scores < model.novelty_threshold_).mean() < 0.95


def test_unseen_type_is_novel(cells: ad.AnnData) -> None:
    hidden = (cells.obs["truth"] == "a/b").to_numpy()
    cells = cells[~(hidden & (cells.obs["known"] != "Unknown"))].copy()
    model = _trained(cells, preset="new_identity")
    assert model.labels.tolist() == ["B", "T"]
    target = (cells.obs["known"] == "Unknown").to_numpy()
    scores = model.novelty(indices=target)
    new = (cells.obs["truth"][target] == "a/b").to_numpy()
    assert (scores[new] > model.novelty_threshold_).all()
    assert roc_auc_score(new, scores) > 0.98


def test_calibration_by_hand(model: SCNYM) -> None:
    result = model.get_calibration(n_bins=5)
    rows = model.validation_indices
    soft = model.predict(indices=rows, soft=True)
    confidence = soft.max(axis=1).to_numpy()
    right = (soft.idxmax(axis=1) == model.adata.obs["known"].iloc[rows]).to_numpy()
    frame = result["reliability"]
    assert frame["n_cells"].sum() == len(rows)
    expected = 0.0
    for row in frame.itertuples():
        inside = (confidence >= row.lower) & (confidence < row.upper)
        assert row.n_cells == inside.sum()
        if inside.any():
            assert row.confidence == pytest.approx(confidence[inside].mean(), abs=1e-6)
            assert row.accuracy == pytest.approx(right[inside].mean())
            expected += inside.mean() * abs(row.confidence - row.accuracy)
        else:
            assert np.isnan(row.confidence)
    assert result["ece"] == pytest.approx(expected, abs=1e-5)


# -- continued training ----


def test_early_stopping_shortens_a_training(cells: ad.AnnData) -> None:
    stop = {"early_stopping": True, "early_stopping_patience": 3, "max_epochs": 60}
    assert 33 <= len(_trained(cells, **stop).history["train_loss"]) < 60  # after the ramps
    reference = cells[:120].copy()
    assert (
        len(_trained(reference, **stop).history["train_loss"]) < 33
    )  # supervised training has no ramps


def test_changed_labels_give_a_new_split(cells: ad.AnnData) -> None:
    model = _trained(cells, max_epochs=2)
    split = model.train_indices.copy()
    model.train(max_epochs=2, **QUIET)
    np.testing.assert_array_equal(model.train_indices, split)
    cells.obs["known"] = cells.obs["truth"].astype(str)
    cells.obs.loc[cells.obs_names[split[:30]], "known"] = "Unknown"
    model.train(max_epochs=2, **QUIET)
    used = np.concatenate([model.train_indices, model.validation_indices])
    labelled = np.flatnonzero(cells.obs["known"] != "Unknown")
    np.testing.assert_array_equal(np.sort(used), labelled)


def test_failed_training_does_not_change_the_split(cells: ad.AnnData) -> None:
    """If training with changed labels fails, the next training still detects the change."""
    model = _trained(cells, max_epochs=2)
    gone = model.train_indices[:30]
    cells.obs.loc[cells.obs_names[gone], "known"] = "Unknown"
    with pytest.raises(ValueError, match="validation cells"):
        model.train(train_size=1.0, early_stopping=True, **QUIET)
    model.train(max_epochs=2, **QUIET)
    assert not np.isin(model.train_indices, gone).any()


def test_few_cells_do_not_replace_the_calibration(model: SCNYM) -> None:
    query = _cells(2, shift=-0.5)
    query.obs["known"] = query.obs["truth"].astype(str)
    query.obs.loc[query.obs_names[30:], "known"] = "Unknown"
    tuned = SCNYM.load_query_data(query, model)
    tuned.train(max_epochs=2, **QUIET)
    assert 0 < len(tuned.validation_indices) < 20
    assert tuned.temperature_ == model.temperature_
    assert tuned.novelty_threshold_ == model.novelty_threshold_
    torch.testing.assert_close(tuned.module.novelty.means, model.module.novelty.means)


def test_new_metrics_of_a_later_training_are_kept(cells: ad.AnnData) -> None:
    model = _trained(cells[:120].copy(), max_epochs=4)
    tuned = SCNYM.load_query_data(_cells(2, shift=-0.5), model)
    tuned.train(max_epochs=3, **QUIET)
    assert len(tuned.history["train_loss"]) == 7
    assert tuned.history["train_confident"].index.tolist() == [4, 5, 6]


def test_training_without_labels_is_an_error(model: SCNYM) -> None:
    tuned = SCNYM.load_query_data(_cells(2), model)
    for preset in ("supervised", "no_mixmatch", "new_identity"):
        with pytest.raises(ValueError, match=r'no cell has a label.*preset="default"'):
            tuned.train(preset=preset, **QUIET)


def test_infinite_values_are_an_error_in_every_training(cells: ad.AnnData, model: SCNYM) -> None:
    query = _cells(2)
    query.X[5, 3] = np.nan
    tuned = SCNYM.load_query_data(query, model)
    with pytest.raises(ValueError, match="NaN or infinite"):
        tuned.train(max_epochs=1, **QUIET)
    untrained = _cells(0)
    untrained.obs["known"] = untrained.obs["truth"]
    untrained.X[7, 3] = np.inf
    SCNYM.setup_anndata(untrained, "known")
    fresh = SCNYM(untrained)
    rest = np.setdiff1d(np.arange(120), np.arange(5, 10))
    with pytest.raises(ValueError, match="NaN or infinite"):  # in a validation cell
        fresh.train(external_indexing=[rest, np.arange(5, 10)], **QUIET)
    assert not fresh.is_trained


def test_supervised_training_ignores_unlabelled_cells(cells: ad.AnnData) -> None:
    other = cells.copy()
    other.X = sparse.csr_matrix(np.vstack([other.X[:120].toarray(), np.ones((120, 20))]))
    models = [_trained(c, preset="supervised", max_epochs=3) for c in (cells, other)]
    rows = np.arange(120)
    expected, found = (m.predict(indices=rows, soft=True) for m in models)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("path", [str, lambda folder: folder])
def test_calibration_is_saved(model: SCNYM, tmp_path: Path, path: Any) -> None:
    model.save(str(tmp_path / "model"))
    loaded = SCNYM.load_query_data(_cells(2), path(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.novelty(), model.novelty(_cells(2)))
    assert loaded.temperature_ == model.temperature_
    assert loaded.novelty_threshold_ == model.novelty_threshold_


def test_same_seed_same_bits_with_pseudolabels(cells: ad.AnnData) -> None:
    recipe = {"plan_kwargs": {"confidence_threshold": 0.4}, "max_epochs": 8}
    first, second = (_trained(cells.copy(), **recipe) for _ in range(2))
    assert (first.history["train_confident"].to_numpy(dtype=float) > 0).any()
    pd.testing.assert_frame_equal(first.predict(soft=True), second.predict(soft=True))


# -- fine-tuning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("saved", [False, True])
def test_fine_tuning_without_the_reference(model: SCNYM, saved: bool, tmp_path: Path) -> None:
    query = _cells(2, shift=-0.5)
    query = query[:, np.random.default_rng(0).permutation(20)].copy()
    before = model.predict(query, soft=True)
    reference: str | SCNYM = model
    if saved:
        reference = str(tmp_path / "model")
        model.save(reference)
    tuned = SCNYM.load_query_data(query, reference)
    assert tuned.adata is query
    pd.testing.assert_frame_equal(tuned.predict(soft=True), before)
    tuned.train(max_epochs=5, **QUIET)
    after = tuned.predict(soft=True)
    assert np.abs(after.to_numpy() - before.to_numpy()).max() > 1e-3
    assert (tuned.predict() == query.obs["truth"]).mean() > 0.95
    assert len(tuned.history["train_loss"]) == len(model.history["train_loss"]) + 5
    # the calibration is kept, and the reference is unchanged
    assert tuned.temperature_ == model.temperature_
    assert tuned.novelty_threshold_ == model.novelty_threshold_
    pd.testing.assert_frame_equal(model.predict(query, soft=True), before)


def test_fine_tuning_with_some_labels(model: SCNYM) -> None:
    query = _cells(2, shift=-0.5)
    query.obs["known"] = query.obs["truth"].astype(str)
    query.obs.loc[query.obs_names[::2], "known"] = "Unknown"
    query.obs.loc[query.obs_names[1], "known"] = "of a type that the model does not know"
    tuned = SCNYM.load_query_data(query, model)
    tuned.train(max_epochs=5, **QUIET)
    used = np.concatenate([tuned.train_indices, tuned.validation_indices])
    np.testing.assert_array_equal(np.sort(used), np.arange(3, 120, 2))
    assert tuned.evaluate(split="validation")["accuracy"] > 0.9


# -- other ----------------------------------------------------------------------------------------


def test_predictions_are_explained_by_the_classifier(model: SCNYM) -> None:
    query = _cells(3)
    query.obs["scnym"] = pd.Categorical(model.predict(query))
    x = torch.from_numpy(query.X.toarray())
    own = model.group_scorer(query, "scnym")
    torch.testing.assert_close(own(x), model.group_scorer()(x))
    # for two of the three types, log-odds are those between them
    part = query[query.obs["scnym"] != "a/b"].copy()
    scorer = model.group_scorer(part, "scnym")
    assert scorer.groups == ("B", "T")
    logits = model.module.classify(x).detach()
    torch.testing.assert_close(scorer(x)[:, 0], logits[:, 0] - logits[:, 1])
    # another grouping with the same names
    query.obs["other"] = np.random.default_rng(0).permutation(query.obs["scnym"])
    assert type(model.group_scorer(query, "other", n_prototypes=1)).__name__ == "EmbeddingScorer"


def test_backed_file(cells: ad.AnnData, tmp_path: Path) -> None:
    expected = _trained(cells.copy(), max_epochs=3).predict(soft=True)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    pd.testing.assert_frame_equal(_trained(backed, max_epochs=3).predict(soft=True), expected)


def test_mudata(cells: ad.AnnData) -> None:
    expected = _trained(cells.copy(), {"domain_key": "chip"}, max_epochs=3).predict(soft=True)
    # mudata warns that it will copy other columns to the MuData; both cases work.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdata = MuData({"rna": cells})
    SCNYM.setup_mudata(
        mdata,
        "known",
        modalities={"layer": "rna", "labels_key": "rna", "domain_key": "rna"},
        domain_key="chip",
    )
    model = SCNYM(mdata, n_hidden=32, random_state=0)
    model.train(max_epochs=3, batch_size=64, **QUIET)
    np.testing.assert_allclose(model.predict(soft=True).to_numpy(), expected.to_numpy())


@pytest.mark.parametrize("options", [{"residual": True}, {"normalization": "layer"}])
def test_other_networks(cells: ad.AnnData, options: dict[str, Any]) -> None:
    SCNYM.setup_anndata(cells, "known")
    model = SCNYM(cells, n_hidden=32, n_layers=3, **options)
    model.train(max_epochs=30, batch_size=64, **QUIET)
    predicted = model.predict(indices=np.arange(120, 240))
    assert (predicted == cells.obs["truth"].iloc[120:]).mean() > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_hidden": 0}, "n_hidden"),
        ({"n_layers": 0}, "n_layers"),
        ({"dropout_rate": 1.0}, "dropout_rate must be a number from 0 below 1"),
        ({"normalization": "none"}, "normalization"),
    ],
)
def test_invalid_networks_are_an_error(
    cells: ad.AnnData, options: dict[str, Any], message: str
) -> None:
    SCNYM.setup_anndata(cells, "known")
    with pytest.raises(ValueError, match=message):
        SCNYM(cells, **options)


def test_training_without_cells_of_a_label_is_an_error(cells: ad.AnnData) -> None:
    SCNYM.setup_anndata(cells, "known")
    model = SCNYM(cells)
    rows = np.flatnonzero(cells.obs["known"].isin(["T", "B"]))
    with pytest.raises(ValueError, match=r"no training cell has the labels \['a/b'\]"):
        model.train(external_indexing=[rows], **QUIET)
    assert not model.is_trained


@pytest.mark.parametrize("preset", ["default", "supervised", "published"])
def test_minibatch_of_one_cell_is_an_error(pbmc: ad.AnnData, preset: str) -> None:
    SCNYM.setup_anndata(pbmc, "bulk_labels", unlabeled_category="Dendritic")
    model = SCNYM(pbmc, n_hidden=8)
    with pytest.raises(ValueError, match=r"one labelled cell .*use batch_size=2 or more"):
        model.train(max_epochs=1, batch_size=1, preset=preset, enable_progress_bar=False)
    assert not model.is_trained_
    model = SCNYM(pbmc, n_hidden=8, normalization="layer")
    model.train(max_epochs=1, batch_size=1, preset=preset, enable_progress_bar=False)
    assert np.isfinite(model.get_latent_representation()).all()


def test_single_unlabelled_cell(pbmc: ad.AnnData) -> None:
    labels = pbmc.obs["bulk_labels"].astype(str).to_numpy()
    labels[3] = "Unknown"
    pbmc.obs["mine"] = pd.Categorical(labels)
    SCNYM.setup_anndata(pbmc, "mine", unlabeled_category="Unknown")
    with pytest.raises(ValueError, match=r"one unlabelled cell .*add unlabelled cells"):
        SCNYM(pbmc, n_hidden=8).train(max_epochs=1, preset="published", enable_progress_bar=False)
    model = SCNYM(pbmc, n_hidden=8)  # the teacher is in evaluation mode
    model.train(max_epochs=1, enable_progress_bar=False)
    assert model.is_trained_
