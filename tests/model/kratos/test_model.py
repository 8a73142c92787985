from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback
from mudata import MuData
from scipy import sparse

from ace.model import KRATOS

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

QUIET = {"enable_progress_bar": False}


@pytest.fixture
def cells() -> AnnData:
    """Three groups with three marker genes each, of twelve genes; gene 11 is constant."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [80, 60, 40])
    x = rng.gamma(2, 0.3, size=(180, 12))
    for code in range(3):
        x[codes == code, 3 * code : 3 * code + 3] += 2
    x[:, 11] = 1.0
    return ad.AnnData(
        x.astype(np.float32),
        obs=pd.DataFrame(
            {"type": pd.Categorical(np.array(["c", "a/b", "β 2"])[codes])},
            index=[f"cell{i}" for i in range(180)],
        ),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(12)]),
    )


def _trained(cells: AnnData, setup: dict[str, Any] | None = None, **train: Any) -> KRATOS:
    KRATOS.setup_anndata(cells, "type", **(setup or {}))
    model = KRATOS(cells, n_hidden=(32, 16), random_state=0)
    model.train(**{"max_epochs": 15, "batch_size": 16, "lr": 0.01} | QUIET | train)
    return model


def _classified(model: KRATOS, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of some cells, and their encoded labels."""
    cells = model.adata[rows]
    labels = torch.from_numpy(pd.Index(model.labels).get_indexer(cells.obs["type"]))
    x = torch.from_numpy(cells.X)
    return model.module.classify(x.to(model.device)), labels.to(model.device)


# -- labels ------------------------------------------------------------------------------------


def test_learns_groups_whatever_their_names(cells: AnnData) -> None:
    model = _trained(cells)
    assert model.labels.tolist() == ["a/b", "c", "β 2"]
    test = model.test_indices
    np.testing.assert_array_equal(model.predict(indices=test), cells.obs["type"].iloc[test])
    assert model.evaluate()["accuracy"] == 1.0


@pytest.mark.parametrize("kind", ["int", "bool", "str"])
def test_labels_need_not_be_categories(cells: AnnData, kind: str) -> None:
    codes = cells.obs["type"].cat.codes.to_numpy()
    values = {"int": codes.astype(int) * 10, "bool": codes > 0, "str": codes.astype(str)}[kind]
    cells.obs["type"] = values
    model = _trained(cells)
    assert (model.predict() == values).all()
    assert model.group_scorer().groups == tuple(str(v) for v in np.unique(values))


def test_unused_categories_are_not_classes(cells: AnnData) -> None:
    cells.obs["type"] = cells.obs["type"].cat.add_categories(["0 none", "z none"])
    model = _trained(cells)
    assert model.labels.tolist() == ["a/b", "c", "β 2"]
    assert model.module.n_labels == 3


def test_unlabelled_cells_are_not_trained_on(cells: AnnData) -> None:
    truth = cells.obs["type"].astype(str)
    hidden = np.zeros(180, dtype=bool)
    hidden[::3] = True
    cells.obs["type"] = truth.where(~hidden, "Unknown")
    model = _trained(cells, {"unlabeled_category": "Unknown"})
    assert "Unknown" not in model.labels
    assert model.unlabeled_category == "Unknown"
    used = np.concatenate([model.train_indices, model.validation_indices, model.test_indices])
    np.testing.assert_array_equal(np.sort(used), np.flatnonzero(~hidden))
    assert (model.predict(indices=hidden) == truth[hidden]).mean() > 0.95
    assert model.evaluate(cells)["n_cells"] == (~hidden).sum()
    # In the middle of the alphabet, because scvi-tools swaps this category with the last.
    assert model.labels.tolist() == ["a/b", "c", "β 2"]
    assert model.group_scorer(groupby="type").groups == ("a/b", "c", "β 2")


def test_unlabelled_category_need_not_occur(cells: AnnData) -> None:
    model = _trained(cells, {"unlabeled_category": "Unknown"})
    assert model.labels.tolist() == ["a/b", "c", "β 2"]
    assert model.summary_stats["n_labels"] == 4


def test_missing_labels_are_an_error(cells: AnnData) -> None:
    cells.obs.loc["cell3", "type"] = np.nan
    before = cells.copy()
    with pytest.raises(ValueError, match=r"missing for 1 cells.*mark them as unlabelled"):
        KRATOS.setup_anndata(cells, "type")
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    assert not cells.uns


def test_suggested_fix_of_missing_labels_works(cells: AnnData) -> None:
    """Run the call that the error message suggests."""
    cells.obs.loc["cell3", "type"] = np.nan
    cells.obs["type"] = cells.obs["type"].astype(object).fillna("Unknown")
    model = _trained(cells, {"unlabeled_category": "Unknown"}, max_epochs=1)
    assert 3 not in model.train_indices


def test_one_class_is_an_error(cells: AnnData) -> None:
    cells.obs["type"] = "same"
    with pytest.raises(ValueError, match=r"two classes.*\['same'\]"):
        KRATOS.setup_anndata(cells, "type")


def test_group_of_one_cell_is_trained_on(cells: AnnData) -> None:
    cells.obs["type"] = cells.obs["type"].astype(str)
    cells.obs.loc["cell0", "type"] = "single"
    model = _trained(cells, max_epochs=2)
    assert 0 in model.train_indices
    assert "single" in model.labels


# -- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "hinge"}, "loss='hinge' is not one of"),
        ({"scale": "robust"}, "is not one of"),
        ({"n_hidden": ()}, "n_hidden"),
        ({"n_hidden": (8, 0)}, "n_hidden"),
        ({"dropout_rate": 1.0}, "dropout_rate"),
    ],
)
def test_invalid_arguments(cells: AnnData, arguments: dict[str, Any], message: str) -> None:
    KRATOS.setup_anndata(cells, "type")
    with pytest.raises(ValueError, match=message):
        KRATOS(cells, **arguments)


def test_monitor_must_be_a_metric(cells: AnnData) -> None:
    with pytest.raises(ValueError, match="elbo_validation"):
        _trained(cells, early_stopping_monitor="elbo_validation")


# -- scaling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("as_sparse", [False, True])
def test_scale_is_learned_on_training_cells(cells: AnnData, as_sparse: bool) -> None:
    x = cells.X.copy()
    if as_sparse:
        cells.X = sparse.csr_matrix(x)
    KRATOS.setup_anndata(cells, "type")
    model = KRATOS(cells, scale="minmax")
    model.train(max_epochs=1, **QUIET)
    train = x[model.train_indices]
    np.testing.assert_allclose(model.module.offset.cpu().numpy(), train.min(0), rtol=1e-6)
    spread = np.ptp(train, axis=0)
    np.testing.assert_allclose(model.module.factor.cpu().numpy()[:11], 1 / spread[:11], rtol=1e-6)
    assert model.module.factor[11] == 0


@pytest.mark.parametrize("scale", ["zscore", None])
def test_scale_is_saved_and_kept(cells: AnnData, scale: Any, tmp_path: Path) -> None:
    KRATOS.setup_anndata(cells, "type")
    model = KRATOS(cells, n_hidden=(8,), scale=scale)
    model.train(max_epochs=2, **QUIET)
    factor = model.module.factor.clone()
    model.save(str(tmp_path / "model"))
    loaded = KRATOS.load(str(tmp_path / "model"), adata=cells)
    assert torch.equal(loaded.module.factor, factor)
    loaded.train(
        max_epochs=1, external_indexing=[np.arange(0, 180, 2)], early_stopping=False, **QUIET
    )
    assert torch.equal(loaded.module.factor, factor)


def test_scorer_takes_unscaled_expression(cells: AnnData) -> None:
    model = _trained(cells)
    scores = model.group_scorer()(torch.from_numpy(cells.X))
    np.testing.assert_array_equal(model.labels[scores.argmax(1).cpu().numpy()], model.predict())
    x = torch.from_numpy(cells.X).requires_grad_()
    model.group_scorer()(x).sum().backward()
    assert (x.grad[:, 11] == 0).all()  # constant in training, so it must have no effect


# -- training ----------------------------------------------------------------------------------


@pytest.mark.parametrize("monitor", ["validation_loss", "validation_accuracy"])
def test_best_weights_are_restored(cells: AnnData, monitor: str) -> None:
    cells.X = cells.X + np.random.default_rng(0).normal(0, 3, cells.shape).astype(np.float32)
    model = _trained(
        cells, max_epochs=40, lr=0.01, early_stopping=False, early_stopping_monitor=monitor
    )
    rows = model.validation_indices
    logits, labels = _classified(model, rows)
    history = model.history[monitor].to_numpy(dtype=float)
    if monitor == "validation_loss":
        final, best = model.module.classification_loss(logits, labels).item(), history.min()
    else:
        final, best = (logits.argmax(1) == labels).float().mean().item(), history.max()
    np.testing.assert_allclose(final, best, rtol=1e-4)
    assert history[-1] != best  # otherwise the test would be trivial


def test_history_holds_epoch_means(cells: AnnData) -> None:
    """With a learning rate of 0, the loss of the epoch equals that of the initial network."""
    model = _trained(cells, max_epochs=1, lr=0.0, batch_size=50)
    rows = model.train_indices
    logits, labels = _classified(model, rows)
    loss = model.module.classification_loss(logits, labels).item()
    np.testing.assert_allclose(float(model.history["train_loss"].iloc[0, 0]), loss, rtol=1e-5)
    accuracy = (logits.argmax(1) == labels).float().mean().item()
    np.testing.assert_allclose(
        float(model.history["train_accuracy"].iloc[0, 0]), accuracy, rtol=1e-5
    )


def test_optimizer_can_be_chosen(cells: AnnData) -> None:
    created = []

    def creator(parameters: Any) -> torch.optim.Optimizer:
        created.append(torch.optim.Adadelta(parameters, lr=1.0))
        return created[0]

    _trained(cells, max_epochs=1, plan_kwargs={"optimizer_creator": creator})
    assert len(created) == 1


@pytest.mark.parametrize("dropout_rate", [0.0, 0.5])
def test_dropout_is_active_in_each_training(cells: AnnData, dropout_rate: float) -> None:
    KRATOS.setup_anndata(cells, "type")
    model = KRATOS(cells, n_hidden=(16, 4), dropout_rate=dropout_rate)
    model.train(max_epochs=1, **QUIET)
    seen = []

    class Watch(Callback):
        def on_train_batch_end(self, *args: Any) -> None:
            seen.append(model.module.training)

    options = {"early_stopping": False, "train_size": 1.0, "callbacks": [Watch()]}
    model.train(max_epochs=1, **options, **QUIET)
    assert seen
    assert all(seen)
    assert not model.module.training


def test_own_split_may_leave_cells_out(cells: AnnData) -> None:
    parts = [np.arange(0, 180, 4), np.arange(1, 180, 4)]
    model = _trained(cells, external_indexing=parts)
    np.testing.assert_array_equal(model.train_indices, parts[0])
    with pytest.raises(ValueError, match="no labelled cell to evaluate in the test split"):
        model.evaluate()
    assert model.evaluate(split="validation")["n_cells"] == 45


# -- evaluation --------------------------------------------------------------------------------


def test_evaluate_by_split(cells: AnnData) -> None:
    model = _trained(cells, max_epochs=3)
    for split in ("train", "validation", "test"):
        rows = getattr(model, f"{split}_indices")
        result = model.evaluate(split=split)
        truth = cells.obs["type"].iloc[rows].to_numpy()
        assert result["n_cells"] == len(rows)
        np.testing.assert_allclose(
            result["accuracy"], (model.predict(indices=rows) == truth).mean()
        )
        confusion = pd.crosstab(truth, model.predict(indices=rows))
        for label in confusion.columns:
            np.testing.assert_array_equal(
                result["confusion"].loc[confusion.index, label], confusion[label]
            )
    assert model.evaluate()["confusion"].equals(model.evaluate(split="test")["confusion"])
    with pytest.raises(ValueError, match="split='holdout' is not one of"):
        model.evaluate(split="holdout")


def test_evaluate_on_other_cells(cells: AnnData, tmp_path: Path) -> None:
    model = _trained(cells)
    other = cells[::-1, ::-1].copy()
    assert model.evaluate(other)["n_cells"] == 180
    with pytest.raises(ValueError, match="other cells were passed"):
        model.evaluate(other, split="test")
    model.save(str(tmp_path / "model"))
    loaded = KRATOS.load(str(tmp_path / "model"), adata=other)
    with pytest.raises(ValueError, match="other cells were passed"):
        loaded.evaluate()
    other.obs["type"] = other.obs["type"].astype(str)
    other.obs.iloc[0, 0] = "new type"
    with pytest.raises(ValueError, match=r"does not know the labels \['new type'\]"):
        model.evaluate(other)
    del other.obs["type"]
    with pytest.raises(KeyError, match="no column 'type'"):
        model.evaluate(other)


def test_training_on_other_cells_makes_a_new_split(cells: AnnData, tmp_path: Path) -> None:
    model = _trained(cells)
    model.save(str(tmp_path / "model"))
    other = cells[:100].copy()
    loaded = KRATOS.load(str(tmp_path / "model"), adata=other)
    loaded.train(max_epochs=1, **QUIET)
    assert max(map(max, (loaded.train_indices, loaded.test_indices))) < 100
    assert loaded.evaluate()["n_cells"] == len(loaded.test_indices)


# -- MuData ------------------------------------------------------------------------------------


@pytest.fixture
def mdata(cells: AnnData) -> MuData:
    rng = np.random.default_rng(0)
    protein = ad.AnnData(
        rng.random((180, 4)).astype(np.float32),
        obs=pd.DataFrame(index=cells.obs_names),
        var=pd.DataFrame(index=[f"protein{i}" for i in range(4)]),
    )
    with warnings.catch_warnings():
        # Warnings of mudata, also about pandas, differ between its versions.
        warnings.simplefilter("ignore")
        mdata = MuData({"protein": protein, "rna": cells.copy()})
    mdata.obs["annotation"] = cells.obs["type"].to_numpy()
    return mdata


@pytest.mark.parametrize("labels_in", ["rna", None])
def test_mudata_is_one_modality(
    cells: AnnData, mdata: MuData, labels_in: str | None, tmp_path: Path
) -> None:
    expected = _trained(cells)
    key = "annotation" if labels_in is None else "type"
    modalities = {"layer": "rna"} | ({} if labels_in is None else {"labels_key": labels_in})
    KRATOS.setup_mudata(mdata, key, modalities=modalities)
    model = KRATOS(mdata, n_hidden=(32, 16), random_state=0)
    model.train(max_epochs=15, batch_size=16, lr=0.01, **QUIET)
    np.testing.assert_array_equal(model.var_names, cells.var_names)
    np.testing.assert_array_equal(model.predict(soft=True), expected.predict(soft=True))
    np.testing.assert_array_equal(model.predict(cells), expected.predict())  # the modality alone
    assert model.evaluate()["accuracy"] == expected.evaluate()["accuracy"]
    assert model.group_scorer(groupby=key).groups == ("a/b", "c", "β 2")

    model.save(str(tmp_path / "model"))
    loaded = KRATOS.load(str(tmp_path / "model"), adata=mdata)
    np.testing.assert_array_equal(loaded.predict(soft=True), expected.predict(soft=True))
    del mdata.mod["rna"]
    with pytest.raises(ValueError, match=r"reads modality 'rna'"):
        model.predict(mdata)


def test_modality_must_be_named(mdata: MuData) -> None:
    with pytest.raises(ValueError, match=r"name the modality.*\['protein', 'rna'\]"):
        KRATOS.setup_mudata(mdata, "annotation", modalities={})
    with pytest.raises(ValueError, match="Extraneous"):
        KRATOS.setup_mudata(mdata, "annotation", modalities={"layer": "rna", "x": "rna"})


def test_anndata_model_does_not_accept_mudata(cells: AnnData, mdata: MuData) -> None:
    model = _trained(cells, max_epochs=1)
    with pytest.raises(ValueError, match=r"mdata\.mod"):
        model.predict(mdata)
    with pytest.raises(TypeError, match="must be an AnnData"):
        model.predict(cells.X)


# -- real cells --------------------------------------------------------------------------------


def test_held_out_accuracy_on_pbmc3k(data_dir: Path) -> None:
    import scanpy as sc

    adata = sc.read_h5ad(data_dir / "pbmc3k_counts_2638.h5ad")
    adata.X = adata.X.astype(np.float32)
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=2000)
    adata = adata[:, adata.var["highly_variable"]].copy()
    KRATOS.setup_anndata(adata, "louvain")
    model = KRATOS(adata, random_state=0)
    model.train(**QUIET)
    result = model.evaluate()
    assert result["n_cells"] > 700
    assert result["accuracy"] >= 0.94
    assert result["ece"] < 0.05


def test_an_integer_of_units_is_one_layer(pbmc: AnnData) -> None:
    KRATOS.setup_anndata(pbmc, labels_key="bulk_labels")
    assert KRATOS(pbmc, n_hidden=7).module.n_latent == 7
    for bad in (("a",), "64", (), (8, 0), 8.5, None, True):
        with pytest.raises(ValueError, match="n_hidden"):
            KRATOS(pbmc, n_hidden=bad)
    for bad in ("x", 1.0, -0.1, np.nan, True, None):
        with pytest.raises(ValueError, match="dropout_rate must be a number from 0 below 1"):
            KRATOS(pbmc, dropout_rate=bad)
    with pytest.raises(ValueError, match="random_state must be a whole number"):
        KRATOS(pbmc, random_state="0")
