"""Outputs of a trained network for cells, and parts of a network as scorers use them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ace._checks import _columns
from ace.explain import EmbeddingScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from ace.model.base._gene_model import GeneModel
    from ace.model.base._reader import MatrixReader
    from ace.nn import NeuralizedClustering


#: Cells in a minibatch when outputs are checked after training.
BATCH_CHECKED = 32


class NotFiniteError(ValueError):
    """The outputs of a network overflow."""


@torch.inference_mode()
def network_outputs(
    network: torch.nn.Module,
    output: Callable[..., torch.Tensor],
    n_columns: int,
    reader: MatrixReader,
    rows: np.ndarray,
    batch_size: int | None = None,
    covariates: Sequence[np.ndarray | None] = (),
) -> torch.Tensor:
    """Compute outputs of cells in evaluation mode.

    Parameters
    ----------
    network
        The network.
    output
        Function of expression and covariates; returns ``(n_cells, n_columns)``.
    n_columns
        Number of columns.
    reader, rows
        The matrix, and the rows to read.
    batch_size
        Cells in a minibatch.
    covariates
        Arrays with one row for each cell of the reader.

    Returns
    -------
    Shape ``(n_cells, n_columns)``, on the CPU.

    Raises
    ------
    NotFiniteError
        If an output is not finite.
    """
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    # Allocated once: small results kept between large temporary minibatches fragment the memory.
    result = torch.empty(len(rows), n_columns)
    start = 0
    for x in reader.minibatches(rows, batch_size):
        here = rows[start : start + len(x)]
        further = (None if c is None else torch.from_numpy(c[here]).to(device) for c in covariates)
        result[start : start + len(x)] = output(x.to(device), *further)
        start += len(x)
    network.train(was_training)
    bad = ~torch.isfinite(result).all(1)
    if bad.any():
        raise NotFiniteError(
            f"the network's output is not finite for {int(bad.sum())} of {len(rows)} cells, "
            f"such as row {rows[int(bad.nonzero()[0])]}: their values are far from those that "
            "the model was trained on."
        )
    return result


class Part(torch.nn.Module):
    """An output of a network, or some of its columns, as a module.

    Parameters
    ----------
    network
        The network.
    output
        Method that computes the output.
    columns
        Columns to return; ``None`` for all.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        output: Literal["embed", "classify"],
        columns: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._output = output
        self._columns = columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output for unscaled expression."""
        y = getattr(self.network, self._output)(x)
        return y if self._columns is None else y[:, self._columns]


def embedding_scorer(
    model: GeneModel,
    clustering: NeuralizedClustering,
    names: Sequence[str],
    *,
    refits: bool = False,
) -> EmbeddingScorer:
    """Return a scorer that applies a clustering to a copy of the model's encoder.

    ``refits`` says that the clustering was fitted to the groups: see
    :class:`~ace.explain.EmbeddingScorer`.
    """
    network = copy.deepcopy(model.module).eval()
    genes = model._feature_names
    scorer = EmbeddingScorer(Part(network, "embed"), clustering, names, genes, refits=refits)
    return scorer.to(model.device).eval().requires_grad_(False)


def groups_of(values: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return codes and names of a grouping.

    Raises
    ------
    ValueError
        If a cell has no group.
    """
    groups = _columns.labels_of(values, f"adata.obs[{values.name!r}]")
    groups = groups.remove_unused_categories()
    if (groups.codes < 0).any():
        raise ValueError(
            f"adata.obs[{values.name!r}] is missing for {(groups.codes < 0).sum()} cells: "
            "leave them out or give them a category."
        )
    return groups.codes.astype(np.int64), tuple(str(c) for c in groups.categories)
