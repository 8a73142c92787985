"""Baselines and scores with answers that are known on small cases."""

from functools import partialmethod

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp
import torch
from benchmarks.core.data import pca
from benchmarks.core.measure import in_fresh_process
from benchmarks.core.store import Task
from benchmarks.experiments import images, rankings, scare, scare_models, transfer, transfer_cells
from benchmarks.experiments.embeddings import mixing
from benchmarks.experiments.speed_models import matrix, simulated
from benchmarks.methods import embedding_baselines as embedding
from benchmarks.methods.rankings import Cells
from benchmarks.methods.rankings import rankings as all_rankings
from torch import nn

from ace.model import SCNYM

N_GENES = 30


def _planted(n_cells=120):
    """Three groups; genes 0 and 1 mark the first, 2 and 3 the second, 4 and 5 the third."""
    rng = np.random.default_rng(0)
    groups = np.arange(n_cells) % 3
    means = np.full((3, N_GENES), 3.0)
    for group in range(3):
        means[group, 2 * group : 2 * group + 2] = 30.0
    order = rng.permutation(N_GENES)
    adata = ad.AnnData(sp.csr_matrix(rng.poisson(means[groups]).astype(np.float32)[:, order]))
    adata.obs["group"] = pd.Categorical(np.array(["a", "b", "c"])[groups])
    adata.var_names = [f"gene{i}" for i in order]
    adata.layers["counts"] = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.pca(adata, n_comps=5, random_state=0)
    return adata


# GRS finds what changes within groups. The runner ignores warnings of other packages, too.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", [n for n, r in all_rankings().items() if r.baseline and n != "GRS"]
)
def test_planted_genes_come_first(name):
    adata = _planted()
    panels = all_rankings()[name].run(Cells(adata, 0))
    assert list(panels) == ["a", "b", "c"]
    for number, panel in enumerate(panels.values()):
        assert sorted(panel) == list(range(N_GENES))  # every gene once
        # Some see only what a group has, others what it lacks as well.
        assert {f"gene{2 * number}", f"gene{2 * number + 1}"} <= set(adata.var_names[panel[:6]])


def test_relevant_genes_change_within_the_group():
    """Along a path of cells, genes 0-3 rise within the first half, 4-7 in the second."""
    t = np.linspace(0, 2, 200)
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.05, (200, N_GENES))
    x[:, :4] += 3 * np.clip(t, 0, 1)[:, None]
    x[:, 4:8] += 3 * np.clip(t - 1, 0, 1)[:, None]
    adata = ad.AnnData(x.astype(np.float32))
    adata.obs["group"] = pd.Categorical(np.where(t < 1, "first", "second"))
    panels = embedding.grs(pca(adata), 0)
    assert set(panels["first"][:4]) == {0, 1, 2, 3}
    assert set(panels["second"][:4]) == {4, 5, 6, 7}


def test_proximal_map_of_all_pairs_is_optimal():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 3))

    def loss(x):
        return 0.5 * ((x - values) ** 2).sum() + 0.3 * np.abs(x[:, None] - x[None]).sum() / 2

    best = embedding._fused(values, 0.3)
    moved = (best + rng.normal(scale=0.05, size=best.shape) for _ in range(200))
    assert all(loss(best) <= loss(other) + 1e-12 for other in moved)


def test_held_out_cells_are_not_seen():
    cells, judged = rankings.prepare(Task("pbmc68k", "held-out"))
    assert cells.adata.n_obs == judged.n_obs == 350
    assert not set(cells.adata.obs_names) & set(judged.obs_names)
    x = cells.adata.X.toarray()
    projected = (x - x.mean(axis=0)) @ cells.adata.varm["PCs"]
    np.testing.assert_allclose(projected, cells.adata.obsm["X_pca"], atol=1e-2)


@pytest.mark.parametrize("seed", [0, 1])
def test_halves_share_no_cell(seed):
    first, second = rankings._two_sets(Task("pbmc68k", "halves", seed=seed))
    assert not set(first.adata.obs_names) & set(second.adata.obs_names)
    assert first.adata.n_obs + second.adata.n_obs == 700


BUNDLED = Task("pbmc68k", transfer_cells.AS_THEY_ARE, "first")


def test_labelled_cells_are_spoiled_as_the_protocol_says():
    whole = transfer_cells.load(BUNDLED)
    np.testing.assert_array_equal(whole.target, whole.every.obs["domain"] != "first")
    wrong = transfer_cells.load(BUNDLED._replace(protocol=transfer_cells.WRONG, seed=3))
    labelled = ~wrong.target
    assert (wrong.given != wrong.every.obs["type"].to_numpy())[labelled].sum() == 35
    hidden = transfer_cells.load(BUNDLED._replace(protocol="Dendritic hidden"))
    assert "Dendritic" not in hidden.given
    np.testing.assert_array_equal(hidden.scored, whole.scored & (hidden.truth != "Dendritic"))
    rarer = transfer_cells.load(BUNDLED._replace(protocol="Dendritic five times rarer"))
    n_kept, n_whole = ((cells.given == "Dendritic").sum() for cells in (rarer, whole))
    assert n_kept == round(n_whole / 5)


@pytest.mark.parametrize("name", ["logistic regression", "linear SVM, variable genes", "SCNYM"])
def test_labels_that_are_asked_for_are_not_used(name, monkeypatch):
    cells = transfer_cells.load(BUNDLED)
    every = cells.every.copy()
    every.obs["type"] = np.where(cells.target, "secret", every.obs["type"])
    monkeypatch.setattr(SCNYM, "train", partialmethod(SCNYM.train, max_epochs=1))
    call = transfer.methods()[name].run
    found, blind = (call(given).labels for given in (cells, transfer_cells.Cells(every, 0)))
    assert "secret" not in found
    np.testing.assert_array_equal(found, blind)


def test_scores_known_by_hand():
    """Four known cells of a, of which one is called b; one of b; a new one is not scored."""
    types, given = list("ab") + list("aaaab") + ["new"], list("ab") + ["Unknown"] * 6
    obs = pd.DataFrame({"type": types, "given": given}, index=[f"cell{i}" for i in range(8)])
    cells = transfer_cells.Cells(ad.AnnData(sp.eye_array(8, format="csr"), obs=obs), seed=0)
    sure, labels = np.array([0.95, 0.95, 0.75, 0.65, 0.85, 1.0]), list("aaabbb")
    a = np.where(np.array(labels) == "a", sure, 1 - sure)
    answer = transfer.answer(pd.DataFrame({"a": a, "b": 1 - a}))
    assert answer.labels.tolist() == labels
    row = transfer.judge(answer, cells)
    assert (row["n_labelled"], row["n_scored"], row["n_not_scored"]) == (2, 5, 1)
    assert row["accuracy"] == pytest.approx(4 / 5)
    assert (row["recall", "a"], row["recall", "b"]) == (0.75, 1.0)
    assert row["macro_f1"] == pytest.approx((6 / 7 + 2 / 3) / 2)
    # Bins .9: two right at .95; .7 and .8: one right each; .6: one wrong.
    assert row["ece"] == pytest.approx((0.1 + 0.25 + 0.15 + 0.65) / 5)
    assert [row[f"bin_{k}@9"] for k in ("cells", "confidence", "right")] == [2, 1.9, 2]
    novelty = transfer.judge_novelty(answer, cells, "new")
    assert (novelty["n_hidden"], novelty["n_known"], novelty["auroc"]) == (1, 5, 0.0)


def test_scores_of_latent_spaces():
    rng = np.random.default_rng(0)
    z, groups = rng.normal(size=(400, 3)), np.repeat(["a", "b"], 200)
    assert mixing(z, groups, 15) == pytest.approx(1, abs=0.1)
    z[200:] += 50
    assert mixing(z, groups, 15) == 0
    assert scare.types_told(z, groups) == {"accuracy": 1.0, "balanced_accuracy": 1.0}
    values = np.array([[1.0, -1.0, 2.0], [0.0, 0.0, 0.0], [3.0, 0.0, 1.0]])
    assert scare.share(values, np.array([True, False, False])) == pytest.approx((0.25 + 0.75) / 2)
    types, times = np.repeat("t", 400), groups
    assert scare.times_apart(z, types, times)["time_mixing"] == 0


def test_gene_sets_have_the_right_genes_and_share_none_where_they_are_apart(monkeypatch):
    bundled = scare_models.gene_sets("pbmc68k")
    assert {k: len(genes) for k, genes in bundled.items()} == {"HLA": 10, "CD": 27, "both": 37}
    assert set(bundled["both"]) <= set(scare_models.load("pbmc68k").var_names)
    sets = {"first": ["a", "b", "c"], "second": ["c", "d"], "both": ["a", "b", "c", "d"]}
    monkeypatch.setattr(scare_models, "gene_sets", lambda data: sets)
    assert scare.apart("any") == {"first": ["a", "b"], "second": ["d"]}


def test_pairs_of_digits_go_both_ways():
    for name in images.NETWORKS:
        pairs = images.pairs_of(name)
        assert {(b, a) for a, b in pairs} == set(pairs)
    train, test, labels, _ = images.load_digits("digits")
    assert train.shape == (len(labels), 64)
    assert 0 <= train.min() <= train.max() <= 1
    scorer = nn.Linear(64, 10)
    pair = images.OfPair(scorer, torch.tensor([[3, 8]]))
    x = test[:1]
    torch.testing.assert_close(pair(x), scorer(x)[:, [3, 8]])


def test_memory_is_measured_in_a_fresh_process():
    cells = simulated("SCARE", 100)
    assert cells.X.nnz / np.prod(cells.shape) == pytest.approx(0.08, abs=0.01)
    assert (cells.obs["given"] == "Unknown").sum() == 50
    assert in_fresh_process(matrix, cells.X) == pytest.approx(matrix(cells.X))
