"""Scorers and embeddings of the user's own."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

import ace
from ace.explain import (
    ClassifierScorer,
    EmbeddingScorer,
    GroupScorer,
    LinearEmbedding,
    fit_clustering,
)
from ace.nn import log_odds

GENES = [f"g{i}" for i in range(6)]
#: Log-odds of "a" and "b" as functions of two genes.
WEIGHTS = torch.tensor([[2.0, -1.0], [-2.0, 1.0]])


class Linear(GroupScorer):
    """Log-odds that are linear in two genes."""

    def __init__(self, groups: Any = ("a", "b"), feature_names: Any = ("g4", "g1")) -> None:
        super().__init__(groups, feature_names)
        self.register_buffer("weights", WEIGHTS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weights.T


class Embedding(torch.nn.Module):
    """The first three genes times two, with dropout in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(6, 3, bias=False)
        self.dropout = torch.nn.Dropout(0.5)
        with torch.no_grad():
            self.linear.weight.copy_(2 * torch.eye(3, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.linear(x))


class Function(torch.nn.Module):
    """Any function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


@pytest.fixture
def cells() -> ad.AnnData:
    """Group a is high in g4, b in g1 and c in g0."""
    rng = np.random.default_rng(0)
    codes = np.arange(150) % 3
    x = rng.exponential(0.3, (150, 6)) * (rng.random((150, 6)) < 0.7)
    for code, gene in enumerate((4, 1, 0)):
        x[codes == code, gene] += 3
    obs = pd.DataFrame({"group": pd.Categorical.from_codes(codes, ["a", "b", "c"])})
    obs.index = obs.index.astype(str)
    return ad.AnnData(np.log1p(x).astype(np.float32), obs=obs, var=pd.DataFrame(index=GENES))


@pytest.fixture
def two(cells: ad.AnnData) -> ad.AnnData:
    return cells[cells.obs["group"] != "c"].copy()


def test_gradients_of_a_linear_scorer_are_its_weights(two: ad.AnnData) -> None:
    ace.tl.explain(two, "group", model=Linear(), method="saliency")
    scores = two.varm["ace_scores"]
    expected = np.full(6, np.nan, np.float32)
    expected[[4, 1]] = 2, -1
    np.testing.assert_array_equal(scores["a"], expected)
    np.testing.assert_array_equal(scores["b"], -expected)
    assert two.uns["ace"]["names"]["a"][:2].tolist() == ["g4", "g1"]
    params = two.uns["ace"]["params"]
    assert (params["scorer"], params["embedding"]) == ("Linear", "Linear")
    assert params["n_prototypes"] is None
    assert params["fidelity"] == 1


def test_integrated_gradients_of_single_cells(two: ad.AnnData) -> None:
    """With a baseline of zeros, they are weights times values of the sampled cells."""
    ace.tl.explain(
        two, "group", model=Linear(), method="integrated_gradients", per_cell=True, n_cells=10
    )
    layer = sp.csr_matrix(two.layers["ace_cells"]).toarray()
    drawn = layer.any(1)
    assert drawn.sum() == 20
    sign = np.where(two.obs["group"] == "a", 1, -1)[drawn]
    np.testing.assert_allclose(layer[drawn, 4], 2 * sign * two.X[drawn, 4], rtol=1e-4)
    np.testing.assert_allclose(layer[drawn, 1], -sign * two.X[drawn, 1], rtol=1e-4, atol=1e-6)
    assert not layer[:, [0, 2, 3, 5]].any()


def test_a_reference_and_a_panel(cells: ad.AnnData) -> None:
    weights = torch.zeros(3, 6)
    weights[[0, 1, 2], [0, 1, 4]] = 3

    class Three(GroupScorer):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return log_odds(x @ weights.T)

    ace.tl.explain(cells, "group", model=Three(["c", "b", "a"]), reference="b")
    assert cells.uns["ace"]["names"].dtype.names == ("a", "c")
    assert set(cells.uns["ace"]["names"]["a"][:2]) == {"g4", "g1"}
    assert set(cells.uns["ace"]["names"]["c"][:2]) == {"g0", "g1"}


def test_groups_without_cells_are_left_out(two: ad.AnnData) -> None:
    class Padded(Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            known = super().forward(x)
            return torch.stack([known[:, 0], known.sum(1) - 9, known[:, 1]], dim=1)

    ace.tl.explain(two, "group", model=Padded(["a", "absent", "b"]), method="saliency")
    assert list(two.varm["ace_scores"]) == ["a", "b"]
    scores = two.varm["ace_scores"]["b"]
    np.testing.assert_array_equal(scores, [np.nan, 1, np.nan, np.nan, -2, np.nan])


def test_without_names_features_are_all_genes_in_order(two: ad.AnnData) -> None:
    linear = torch.nn.Linear(6, 2, bias=False)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[0, 1] = linear.weight[1, 4] = 1
    ace.tl.explain(two, "group", model=ClassifierScorer(linear, ["b", "a"]), method="saliency")
    # For two classes, log-odds are the difference of the logits.
    np.testing.assert_allclose(two.varm["ace_scores"]["b"], [0, 1, 0, 0, -1, 0])


def test_genes_are_matched_by_name(two: ad.AnnData) -> None:
    moved = two[:, [5, 1, 3, 0, 4, 2]].copy()
    for adata in (two, moved):
        ace.tl.explain(adata, "group", model=Linear(), method="expected_gradients")
    pd.testing.assert_frame_equal(
        moved.varm["ace_scores"].loc[GENES], two.varm["ace_scores"], rtol=1e-5
    )


def test_a_module_is_an_embedding(cells: ad.AnnData) -> None:
    """It is equivalent to a scorer that is built by hand."""
    module = Embedding()
    linear = LinearEmbedding(2 * np.eye(6, 3), np.zeros(3))
    z = linear(torch.from_numpy(cells.X)).numpy()
    codes = cells.obs["group"].cat.codes.to_numpy().astype(np.int64)
    scorer = EmbeddingScorer(linear, fit_clustering(z, codes, n_prototypes=2), ["a", "b", "c"])
    for method in ("panel", "expected_gradients", "adversarial"):
        call = {"groupby": "group", "method": method}
        ace.tl.explain(cells, model=module, n_prototypes=2, **call)
        ace.tl.explain(cells, model=scorer, key_added="by_hand", **call)
        np.testing.assert_allclose(
            cells.varm["ace_scores"], cells.varm["by_hand_scores"], rtol=1e-3, atol=1e-4
        )
    params = cells.uns["ace"]["params"]
    assert (params["embedding"], params["n_prototypes"]) == ("Embedding", 2)
    assert params["scorer"] == "EmbeddingScorer"
    ace.tl.explain(cells, "group", model=module)
    assert cells.uns["ace"]["params"]["n_prototypes"] in (3, 5, 8, 12, 20)
    assert (cells.varm["ace_scores"].loc[["g3", "g4", "g5"]] == 0).all(axis=None)
    assert cells.uns["ace"]["names"]["c"][0] == "g0"


def test_a_module_may_name_its_genes(cells: ad.AnnData) -> None:
    module = torch.nn.Linear(2, 2, bias=False)
    module.feature_names = ["g4", "g0"]
    ace.tl.explain(cells, "group", model=module)
    seen = cells.varm["ace_scores"].notna().all(axis=1)
    assert seen[seen].index.tolist() == ["g0", "g4"]


@pytest.mark.parametrize("names", ["g4", 3])
def test_gene_names_must_be_a_list(cells: ad.AnnData, names: Any) -> None:
    module = torch.nn.Linear(2, 2)
    module.feature_names = names
    with pytest.raises(TypeError, match="feature_names of the embedding must be a list"):
        ace.tl.explain(cells, "group", model=module)


def test_the_module_is_unchanged(cells: ad.AnnData) -> None:
    module = Embedding().train()
    module.dropout.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    ace.tl.explain(cells, "group", model=module)
    assert module.training
    assert not module.dropout.training
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("model", [Linear, Embedding])
@pytest.mark.parametrize("stored", ["csr", "csc", "backed", "layer", "dask"])
def test_matrix_format_does_not_matter(
    two: ad.AnnData, model: Any, stored: str, tmp_path: pathlib.Path
) -> None:
    ace.tl.explain(two, "group", model=model(), method="expected_gradients", n_cells=20)
    expected = two.varm["ace_scores"].to_numpy()
    options = {}
    if stored == "layer":
        two.layers["values"], two.X = two.X, np.zeros_like(two.X)
        options["layer"] = "values"
    elif stored == "dask":
        two.X = pytest.importorskip("dask.array").from_array(two.X, chunks=(30, 6))
    else:
        two.X = (sp.csc_matrix if stored == "csc" else sp.csr_matrix)(two.X)
    if stored == "backed":
        two.write_h5ad(tmp_path / "cells.h5ad")
        two = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    ace.tl.explain(two, "group", model=model(), method="expected_gradients", n_cells=20, **options)
    np.testing.assert_allclose(two.varm["ace_scores"], expected, rtol=1e-4, atol=1e-5)
    assert two.uns["ace"]["params"]["layer"] == options.get("layer")
    if stored == "backed":
        two.file.close()


def test_same_call_same_bits_and_global_state_is_left_alone(cells: ad.AnnData) -> None:
    module = Embedding()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    for key in ("one", "two"):
        ace.tl.explain(cells, "group", model=module, key_added=key, n_cells=20)
    pd.testing.assert_frame_equal(cells.varm["one_scores"], cells.varm["two_scores"])
    assert torch.equal(torch.rand(1), expected)


def test_no_warning_about_kinds_of_values(two: ad.AnnData) -> None:
    """Custom scorers may expect any values (warnings are errors here)."""
    two.layers["counts"] = np.round(10 * two.X)
    ace.tl.explain(two, "group", model=Linear(), layer="counts", method="saliency")
    assert two.uns["ace"]["params"]["values"] == "counts"


def _narrow(x: torch.Tensor) -> torch.Tensor:
    return x @ torch.ones(5, 2)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_narrow, r"Function fails on 64 cells x 6 genes: .*feature_names"),
        (lambda x: x.numpy(), r"Function fails on .*requires grad"),
        (lambda x: {"z": x}, r"returns dict. It must return a tensor"),
        (lambda x: x.sum(1), r"shape \(64,\) for 64 cells. The shape must be \(n_cells, n_dim"),
        (lambda x: x.mean(0, keepdim=True), r"shape \(1, 6\) for 64 cells"),
        (lambda x: x[:, :0], r"shape \(64, 0\)"),
        (lambda x: x.double(), r"returns torch.float64. It must return torch.float32"),
        (lambda x: x.half(), r"returns torch.float16"),
        (lambda x: x.to_sparse(), r"returns a sparse tensor: call \.to_dense"),
        (lambda x: x.detach(), "is not differentiable"),
        (lambda x: torch.ones(len(x), 2), "is not differentiable"),
        (lambda x: torch.round(x), "the gradient of Function is 0 for all genes"),
        (lambda x: torch.log(x - x), "returns NaN or infinite values for 64 of 64 cells"),
        (lambda x: torch.sqrt(x - x), "NaN or infinite gradients"),
        (lambda x: x + torch.randn_like(x), "is random or mixes cells"),
        (lambda x: x - x.mean(0), "is random or mixes cells"),
    ],
)
def test_functions_that_cannot_be_explained(
    cells: ad.AnnData, function: Any, message: str
) -> None:
    before = cells.copy()
    with pytest.raises(ValueError, match=message):
        ace.tl.explain(cells, "group", model=Function(function))
    assert cells.uns.keys() == before.uns.keys()
    assert cells.varm.keys() == before.varm.keys()


@pytest.mark.parametrize(
    ("scorer", "options", "message"),
    [
        (Linear(), {"n_prototypes": 3}, "leave n_prototypes out"),
        (Linear(["a", "c"]), {}, r"has groups that the scorer does not: \['b'\]"),
        (Linear(["a", "b"], ["g1", "x"]), {}, r"1 of the 2 genes of the scorer are not in adata"),
        (Linear(["a", "b"], ["g1", "g1"]), {}, r"more than once: \['g1'\]"),
        (Linear(["a", "b"], ["g1", "g2", "g3"]), {}, r"Linear fails on 64 cells x 3 genes"),
        (Linear(["a", "b"], None), {}, r"Linear fails on 64 cells x 6 genes"),
        (Linear(["a", "b", "d"]), {}, "returns 2 columns for its 3 groups"),
    ],
)
def test_scorers_that_do_not_match(
    two: ad.AnnData, scorer: GroupScorer, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ace.tl.explain(two, "group", model=scorer, **options)
    assert "ace" not in two.uns


def test_nan_for_few_cells(cells: ad.AnnData) -> None:
    """These are not among the cells on which the scorer is tested first."""
    largest = float(cells.X.max())
    cells.X[1, 0] = 2 * largest
    module = Function(lambda x: torch.where(x > 1.5 * largest, torch.nan, x))
    with pytest.raises(ValueError, match="NaN or infinite values for 1 of 150 cells"):
        ace.tl.explain(cells, "group", model=module)


def test_a_low_fidelity_is_warned_about(two: ad.AnnData) -> None:
    swapped = Linear(["b", "a"])
    with pytest.warns(UserWarning, match="0% of the cells"):
        ace.tl.explain(two, "group", model=swapped, method="saliency")


def test_other_types_are_an_error(two: ad.AnnData) -> None:
    for model in (Linear, lambda x: x, 3):
        with pytest.raises(TypeError, match="model must be"):
            ace.tl.explain(two, "group", model=model)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("model", [Linear, Embedding])
def test_on_a_gpu(two: ad.AnnData, model: Any) -> None:
    ace.tl.explain(two, "group", model=model(), key_added="cpu")
    ace.tl.explain(two, "group", model=model().cuda(), key_added="gpu")
    np.testing.assert_allclose(
        two.varm["gpu_scores"], two.varm["cpu_scores"], rtol=1e-2, atol=1e-3
    )


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_example_of_the_user_guide() -> None:
    page = pathlib.Path(__file__).parents[2] / "docs" / "user_guide" / "own_scorer.md"
    if not page.exists():
        pytest.skip("the documentation is not here")
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)
    assert len(blocks) == 5
    names: dict[str, Any] = {}
    with torch.random.fork_rng():
        for block in blocks:
            exec(compile(block, page.name, "exec"), names)
    adata, two = names["adata"], names["two"]
    assert adata.uns["ace"]["params"]["embedding"] == "Sequential"
    assert two.uns["ace"]["params"]["fidelity"] > 0.9

    class Transformer(torch.nn.Module):
        """Mock of the transformer of scGPT that returns the values."""

        def _encode(
            self, tokens: torch.Tensor, values: torch.Tensor, src_key_padding_mask: torch.Tensor
        ) -> torch.Tensor:
            assert tokens.shape == values.shape == src_key_padding_mask.shape
            assert (tokens[:, 0] == 9).all()
            return values[:, None, 1:].expand(-1, 5, -1)

    vocabulary = {"<cls>": 9, "CD79A": 1, "LYZ": 2, "CST3": 4}
    embedding = names["ScGPTEmbedding"](Transformer(), vocabulary, ["CD79A", "LYZ", "CST3"])
    ace.tl.explain(two, "bulk_labels", model=embedding)
    assert set(two.uns["ace"]["names"]["CD19+ B"][:3]) == {"CD79A", "LYZ", "CST3"}
