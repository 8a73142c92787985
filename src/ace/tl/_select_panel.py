"""Select one panel of genes that distinguishes all groups."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ace import _checks
from ace._checks import _storable
from ace._checks._objects import cells_of
from ace._docs import doc_params
from ace._keys import DEFAULT_PANEL_KEY, PanelKeys
from ace._log import report
from ace._matrix import read_rows
from ace._threads import one_thread
from ace.explain._joint_accuracy import cross_fitted
from ace.explain._joint_panel import joint_panel
from ace.tl import _texts
from ace.tl._comparisons import resolve
from ace.tl._copying import require_copyable
from ace.tl._expression import read_expression
from ace.tl._panel_genes import panel_genes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.explain._joint_panel import JointPanel
    from ace.tl._comparisons import Groups

logger = logging.getLogger(__name__)


@doc_params(
    groupby=_texts.GROUPBY,
    layer=_texts.LAYER,
    modality=_texts.MODALITY,
    copy=_texts.COPY,
    random_state=_texts.RANDOM_STATE,
)
def select_panel(
    adata: AnnData | MuData,
    groupby: str,
    n_genes: int,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    mask_var: str | np.ndarray | None = None,
    layer: str | None = None,
    modality: str | None = None,
    min_mean: float | None = None,
    max_mean: float | None = None,
    n_cells: int | None = 1000,
    key_added: str = DEFAULT_PANEL_KEY,
    copy: bool = False,
    random_state: int = 0,
) -> AnnData | MuData | None:
    r"""Select a panel of genes that together distinguish all groups from each other.

    For experiments that measure a few dozen or hundred genes, such as targeted spatial
    transcriptomics. Unlike a union of markers of each group, the panel is selected jointly: genes
    enter one at a time, and the next one maximises

    .. math::
        J(S) = \sum_{a < b} \log\bigl(1 + d^2_{ab}(S) / 8\bigr) ,
        \qquad
        d^2_{ab}(S) = (\mu_a - \mu_b)_S^\top \, \Sigma_{SS}^{-1} \, (\mu_a - \mu_b)_S

    over all pairs of groups, with the means :math:`\mu` and the covariance :math:`\Sigma` within
    groups of two features per gene: its value, and whether it is detected. Returns diminish: a
    gene counts most for pairs of similar groups, and little for groups that are already separated.
    Groups count equally, whatever their size. The covariance is the mean over the groups, with a
    ridge, and increases of :math:`d^2` that chance explains do not count.

    All expressed genes are eligible, not only highly variable ones.

    Parameters
    ----------
    adata
        Annotated data with log-normalised values, or a MuData with such a modality. Only the keys
        below are changed.
    {groupby}
    n_genes
        Number of genes of the panel, including those of ``include``.
    include
        Names of genes that enter first, in this order. The others complement them. ``mask_var``,
        ``min_mean`` and ``max_mean`` do not apply to them.
    exclude
        Names of genes that never enter.
    mask_var
        Genes that may enter: the name of a Boolean column of ``var`` (missing values are false) or
        a Boolean array of shape ``(n_vars,)``.
    {layer}
    {modality}
    min_mean, max_mean
        Bounds on the expression of a gene: its largest mean over the groups, in the units of the
        matrix. Optical methods cannot resolve the transcripts of very highly expressed genes.
    n_cells
        Largest number of cells drawn from each group, which bounds the cost; ``None`` for all.
    key_added
        Name of the result. An existing panel with this name is overwritten; anything else raises
        an error.
    {copy}
    {random_state}

    Returns
    -------
    ``None``, or the copy. The following is written:

    ``adata.var[key_added]``
        Whether the gene is in the panel (Boolean).
    ``adata.var[key_added + "_rank"]``
        Order in which the genes entered, from 1; NaN for other genes. The first genes of a panel
        of up to 100 genes are the smaller panel.
    ``adata.uns[key_added]``
        ``params`` and the tables of :func:`ace.get.panel_df`: ``genes`` (the pair of groups that
        each gene separates), ``quality`` (accuracy by number of genes) and ``confusion``. The
        latter two are cross-fitted: in each of five folds, genes are selected on the other cells,
        and the groups of the cells are predicted by linear discriminant analysis with equal
        priors. They describe the selection with its folds; the stored panel is selected on all
        drawn cells.

    Raises
    ------
    KeyError
        If a column or the layer does not exist.
    TypeError
        If names of genes are not strings, or ``key_added`` is not a string.
    ValueError
        If fewer genes are eligible than requested; a gene does not exist, or is both included and
        excluded; there is only one group; a cell has no group; gene names repeat or are missing;
        values are NaN, infinite or of different kinds in different cells; an argument is out of
        range; ``modality`` is missing; ``adata`` is a view of a file or was opened lazily; a name
        cannot be stored in a file; or ``key_added`` names something else. Nothing is written in
        these cases.

    Warns
    -----
    UserWarning
        If the values are counts or are not logarithms, cells were normalised to different totals,
        or a group has a single cell.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.select_panel(adata, "bulk_labels", n_genes=20, include=["CD3D"])
    >>> int(adata.var["ace_panel"].sum())
    20
    >>> ace.get.panel_df(adata)["gene"].iloc[0]
    'CD3D'
    """
    with one_thread():
        given = cells_of(adata, modality)
        adata, groupby = given.adata, given.column(groupby)
        _checks.positive(n_genes, "n_genes", optional=False)
        _checks.positive(n_cells, "n_cells")
        for name, bound in {"min_mean": min_mean, "max_mean": max_mean}.items():
            _checks.number(bound, name, -np.inf, optional=True)
        _checks.seed(random_state)
        _checks.unique_genes(adata)
        keys = PanelKeys(_storable.key(key_added))
        keys.require_not_read(mask_var if isinstance(mask_var, str) else None)
        keys.require_free(adata)
        require_copyable(given, copy)
        comparisons = resolve(adata, groupby, "all", "rest")
        matrix = _checks.matrix_of(adata, layer)
        expression = read_expression(adata, matrix, layer, comparisons, expect_logs=True)
        summary = expression.summary
        genes = panel_genes(
            adata,
            n_genes,
            (summary.mean, summary.fraction),
            include=include,
            exclude=exclude,
            mask_var=mask_var,
            min_mean=min_mean,
            max_mean=max_mean,
        )
        groups = comparisons.groups
        x, codes = _drawn(matrix, groups, n_cells, random_state)
        panel = joint_panel(x, codes, n_genes, genes.eligible, genes.forced)
        rng = np.random.default_rng([random_state, 1])
        predicted = cross_fitted(x, codes, n_genes, genes.eligible, genes.forced, rng)
        given = given.copied() if copy else given
        written = keys.write(
            given.written,
            ranked=panel.genes,
            about={
                "genes": _genes(panel, adata.var_names, groups.names),
                "quality": _quality(predicted, codes, groups.names),
                "confusion": _confusion(predicted[n_genes], codes, groups.names),
                "params": {
                    "groupby": groupby,
                    "n_genes": int(n_genes),
                    "n_eligible": len(genes.eligible) + len(genes.forced),
                    "include": [str(gene) for gene in adata.var_names[genes.forced]],
                    "exclude": [str(gene) for gene in dict.fromkeys(exclude)],
                    "mask_var": mask_var if isinstance(mask_var, str) else None,
                    "layer": layer,
                    "min_mean": None if min_mean is None else float(min_mean),
                    "max_mean": None if max_mean is None else float(max_mean),
                    "values": expression.values.kind,
                    "n_cells": n_cells,
                    "random_state": random_state,
                },
            },
        )
    added = ", ".join(written)
    report(logger, "selected %d genes for %d groups; added %s", n_genes, len(groups), added)
    return given.whole if copy else None


def _drawn(
    matrix: Any, groups: Groups, n_cells: int | None, random_state: int
) -> tuple[sp.csr_array, np.ndarray]:
    """Values and groups of the drawn cells."""
    rng = np.random.default_rng([random_state, 0])
    drawn = [
        rng.permutation(np.flatnonzero(groups.codes == g))[:n_cells] for g in range(len(groups))
    ]
    rows = np.sort(np.concatenate(drawn))
    x = sp.csr_array(read_rows(matrix, rows), dtype=np.float64)
    x.sum_duplicates()
    return x, groups.codes[rows]


def _genes(panel: JointPanel, var_names: pd.Index, names: list[str]) -> pd.DataFrame:
    """The genes in the order in which they entered."""
    return pd.DataFrame(
        {
            "gene": var_names[panel.genes].astype(object),
            "rank": np.arange(len(panel.genes)) + 1,
            "group": pd.Categorical.from_codes(panel.pairs[:, 0], names),
            "against": pd.Categorical.from_codes(panel.pairs[:, 1], names),
            "gain": panel.gains,
        }
    )


def _quality(
    predicted: dict[int, np.ndarray], codes: np.ndarray, names: list[str]
) -> pd.DataFrame:
    """Cross-fitted accuracy for each number of genes."""
    counts = np.bincount(codes)
    recall = (
        np.array(
            [
                np.bincount(codes[found == codes], minlength=len(names))
                for found in predicted.values()
            ]
        )
        / counts
    )
    # Binomial standard error of the recall of each group.
    error = np.sqrt((recall * (1 - recall) / counts).sum(1)) / len(names)
    worst = recall.argmin(1)
    return pd.DataFrame(
        {
            "n_genes": list(predicted),
            "balanced_accuracy": recall.mean(1),
            "balanced_accuracy_se": error,
            "worst_recall": recall.min(1),
            "worst_group": pd.Categorical.from_codes(worst, names),
        }
    )


def _confusion(predicted: np.ndarray, codes: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Number of cells of each group that are assigned to each group, where there are any."""
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(table, (codes, predicted), 1)
    group, found = np.nonzero(table)
    return pd.DataFrame(
        {
            "group": pd.Categorical.from_codes(group, names),
            "predicted": pd.Categorical.from_codes(found, names),
            "n_cells": table[group, found],
        }
    )
