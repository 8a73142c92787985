"""Counts in which it is known which genes make the groups."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from ace.datasets._negative_binomial import sparse_negative_binomial

# Entries of the dense matrix of means that exist at one time (two or three float32 of this).
_CHUNK_ENTRIES = 4_000_000
# The published designs call a gene causal if its log2 fold change between some pair of groups
# exceeds this.
_SMALLEST_LOG2_RANGE = 0.8
_WEIGHTS = (0.01, 0.8)
_MOST_PARENTS = 10
# Spread (standard deviation of the natural logarithm) of genes' means and of cells' library sizes.
_GENE_SPREAD = 1.0
_LIBRARY_SPREAD = 0.3


def simulated_panels(
    n_cells: int = 500,
    n_groups: int = 5,
    n_causal: int = 20,
    n_dependent: int = 20,
    n_noise: int = 100,
    *,
    mean_counts: float = 20.0,
    dispersion: float = 0.5,
    log2_fold_change: float = 1.0,
    dropout: float = 0.0,
    n_batches: int = 1,
    batch_effect: float = 0.5,
    shuffle_genes: bool = True,
    random_state: int = 0,
) -> ad.AnnData:
    r"""Simulate counts whose groups are made by known genes.

    The design of the ACE (§5.1) and Kratos (§6.1) papers, with negative binomial counts in place
    of SymSim's kinetic model:

    - *causal* genes differ between groups: the log2 effect of a group on a gene is
      :math:`N(0, \sigma^2)`, centred over groups and, where needed, stretched until some pair of
      groups differs by more than 0.8;
    - *dependent* genes are weighted sums of the observed counts of 1 to 10 causal genes, with
      weights :math:`U(0.01, 0.8)` and noise :math:`N(0, 1)`, rounded and cut at zero;
    - *noise* genes have the same mean in every group.

    The mean of gene :math:`j` in cell :math:`i` of group :math:`c` and batch :math:`b` is
    :math:`s_i\, \bar\mu_j\, 2^{e_{cj} + f_{bj}}` with log-normal library sizes :math:`s_i` and
    gene means :math:`\bar\mu_j`. They depend on ``random_state`` and on the numbers of
    genes, groups and batches, not on the number of cells.

    Counts are drawn in chunks of cells and only non-zero entries are stored: 100 000 cells ×
    2000 genes with 8 % non-zero entries (``mean_counts=0.075``) take some seconds, and little
    more memory than the result.

    Parameters
    ----------
    n_cells
        Number of cells, spread evenly over the groups.
    n_groups
        Number of groups, at least two.
    n_causal
        Number of genes that make the groups.
    n_dependent
        Number of genes that are sums of causal genes. The ACE paper has 100.
    n_noise
        Number of genes that have nothing to do with the groups.
    mean_counts
        Mean count of causal and noise genes. Sets the density: small means give many zeros.
    dispersion
        :math:`\phi` of the variance :math:`\mu + \phi\mu^2`. 0 gives Poisson counts.
    log2_fold_change
        :math:`\sigma`, the typical log2 effect of a group on a causal gene.
    dropout
        Probability that a non-zero count of a causal or noise gene is lost.
    n_batches
        Number of batches, assigned to cells at random.
    batch_effect
        Standard deviation of the log2 effect of a batch on a gene; the first batch has none.
        Without meaning when there is one batch.
    shuffle_genes
        Put the genes in random order, so that a method cannot profit from theirs. Otherwise
        causal genes come first, then dependent, then noise genes.
    random_state
        Seed of the random numbers.

    Returns
    -------
    adata
        Cells × genes.

        - ``X``: counts, CSR, float32.
        - ``obs["group"]``, ``obs["batch"]``: categories ``"0"``, ``"1"``, ….
        - ``var["kind"]``: ``"causal"``, ``"dependent"`` or ``"noise"``.
        - ``varm["group_mean"]``: genes × groups, the expected count at library size 1 in the
          first batch before dropout; for dependent genes, the weighted sum of those.
        - ``uns["simulated_panels"]``: the arguments.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    Lu et al. (2021), *ACE: Explaining cluster from an adversarial perspective*, §5.1;
    Zhang, Xu and Yosef (2019), *Simulating multiple faceted variability in single cell RNA
    sequencing*.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.simulated_panels(n_cells=200, random_state=1)
    >>> adata.var["kind"].value_counts().to_dict()
    {'noise': 100, 'causal': 20, 'dependent': 20}
    """
    _check_integers(
        n_cells=(n_cells, 2),
        n_groups=(n_groups, 2),
        n_causal=(n_causal, 1),
        n_dependent=(n_dependent, 0),
        n_noise=(n_noise, 0),
        n_batches=(n_batches, 1),
    )
    _check_numbers(
        mean_counts=(mean_counts, mean_counts > 0, "above 0"),
        dispersion=(dispersion, dispersion >= 0, "at least 0"),
        log2_fold_change=(log2_fold_change, log2_fold_change > 0, "above 0"),
        dropout=(dropout, 0 <= dropout < 1, "at least 0 and below 1"),
        batch_effect=(batch_effect, batch_effect >= 0, "at least 0"),
    )
    if n_cells < n_groups:
        msg = f"n_cells={n_cells} cannot fill n_groups={n_groups} groups; give at least one each."
        raise ValueError(msg)

    # Separate streams, so that the same seed has the same genes for any number of cells.
    design_rng, cell_rng = np.random.default_rng(random_state).spawn(2)
    design = _draw_design(
        design_rng,
        n_groups,
        n_causal,
        n_dependent,
        n_noise,
        mean_counts,
        log2_fold_change,
        n_batches,
        batch_effect,
        shuffle_genes,
    )
    group = cell_rng.permutation(np.arange(n_cells) % n_groups)
    batch = cell_rng.integers(n_batches, size=n_cells)
    # Mean 1, so that `mean_counts` is the mean of the counts.
    library = cell_rng.lognormal(-(_LIBRARY_SPREAD**2) / 2, _LIBRARY_SPREAD, n_cells)

    step = max(1, _CHUNK_ENTRIES // len(design.kind))
    chunks = []
    for start in range(0, n_cells, step):
        cells = slice(start, start + step)
        mean = design.mean[batch[cells], group[cells]]
        mean *= library[cells, None].astype(np.float32)
        chunks.append(_draw_cells(mean, design, dispersion, dropout, cell_rng))

    names = [f"gene{i}" for i in range(len(design.kind))]
    categories = [str(i) for i in range(n_groups)]
    return ad.AnnData(
        X=sparse.vstack(chunks, format="csr"),
        obs=pd.DataFrame(
            {
                "group": pd.Categorical.from_codes(group, categories),
                "batch": pd.Categorical.from_codes(batch, [str(i) for i in range(n_batches)]),
            },
            index=[f"cell{i}" for i in range(n_cells)],
        ),
        var=pd.DataFrame(
            {"kind": pd.Categorical(design.kind, ["causal", "dependent", "noise"])}, index=names
        ),
        varm={"group_mean": pd.DataFrame(design.group_mean, index=names, columns=categories)},
        uns={
            "simulated_panels": {
                "n_cells": n_cells,
                "n_groups": n_groups,
                "n_causal": n_causal,
                "n_dependent": n_dependent,
                "n_noise": n_noise,
                "mean_counts": mean_counts,
                "dispersion": dispersion,
                "log2_fold_change": log2_fold_change,
                "dropout": dropout,
                "n_batches": n_batches,
                "batch_effect": batch_effect,
                "shuffle_genes": shuffle_genes,
                "random_state": random_state,
            }
        },
    )


@dataclass(frozen=True)
class _Design:
    """What the genes are. Columns are in the order of the result."""

    kind: np.ndarray  # genes
    mean: np.ndarray  # batches × groups × genes, float32; 0 for dependent genes
    group_mean: np.ndarray  # genes × groups
    causal: np.ndarray  # columns of the causal genes
    dependent: np.ndarray  # columns of the dependent genes, ascending
    weights: np.ndarray  # causal × dependent


def _draw_design(
    rng: np.random.Generator,
    n_groups: int,
    n_causal: int,
    n_dependent: int,
    n_noise: int,
    mean_counts: float,
    log2_fold_change: float,
    n_batches: int,
    batch_effect: float,
    shuffle_genes: bool,
) -> _Design:
    kind = np.repeat(["causal", "dependent", "noise"], [n_causal, n_dependent, n_noise])
    n_genes = len(kind)
    base = mean_counts * rng.lognormal(-(_GENE_SPREAD**2) / 2, _GENE_SPREAD, n_genes)
    effect = np.zeros((n_groups, n_genes))
    effect[:, :n_causal] = _draw_effects(rng, n_groups, n_causal, log2_fold_change)
    batch = rng.normal(0, batch_effect, (n_batches, 1, n_genes))
    batch[0] = 0
    weights = np.zeros((n_causal, n_dependent))
    for gene in range(n_dependent):
        n_parents = rng.integers(1, min(_MOST_PARENTS, n_causal) + 1)
        parents = rng.choice(n_causal, n_parents, replace=False)
        weights[parents, gene] = rng.uniform(*_WEIGHTS, n_parents)

    order = rng.permutation(n_genes) if shuffle_genes else np.arange(n_genes)
    group_mean = base * 2**effect
    dependent = slice(n_causal, n_causal + n_dependent)
    group_mean[:, dependent] = group_mean[:, :n_causal] @ weights
    mean = (base * 2 ** (effect + batch)).astype(np.float32)
    mean[..., dependent] = 0
    columns = np.argsort(order)  # where each gene of the plain order went
    ascending = np.argsort(columns[dependent])
    return _Design(
        kind=kind[order],
        mean=mean[..., order],
        group_mean=group_mean.T[order],
        causal=columns[:n_causal],
        dependent=columns[dependent][ascending],
        weights=weights[:, ascending],
    )


def _draw_effects(
    rng: np.random.Generator, n_groups: int, n_causal: int, log2_fold_change: float
) -> np.ndarray:
    """Draw log2 effects, groups × causal genes; some pair of groups differs in each gene."""
    effect = rng.normal(0, log2_fold_change, (n_groups, n_causal))
    effect -= effect.mean(axis=0)
    stretch = 1.01 * _SMALLEST_LOG2_RANGE / np.ptp(effect, axis=0)
    return effect * np.maximum(stretch, 1)


def _draw_cells(
    mean: np.ndarray,
    design: _Design,
    dispersion: float,
    dropout: float,
    rng: np.random.Generator,
) -> sparse.csr_matrix:
    counts = sparse_negative_binomial(mean, dispersion, rng)
    if dropout > 0:
        counts.data *= rng.random(counts.nnz, dtype=np.float32) >= dropout
        counts.eliminate_zeros()
    if not len(design.dependent):
        return counts
    # As published, dependent genes are sums of what was observed, lost counts included.
    parents = counts[:, design.causal].toarray().astype(np.float64)
    value = parents @ design.weights
    value += rng.standard_normal(value.shape)
    sums = sparse.csr_matrix(np.maximum(np.rint(value), 0).astype(np.float32))
    placed = sparse.csr_matrix(
        (sums.data, design.dependent[sums.indices], sums.indptr), shape=counts.shape
    )
    return counts + placed


def _check_integers(**arguments: tuple[object, int]) -> None:
    for name, (value, smallest) in arguments.items():
        if not isinstance(value, (int, np.integer)) or value < smallest:
            msg = f"{name} must be an integer of at least {smallest}, got {value!r}."
            raise ValueError(msg)


def _check_numbers(**arguments: tuple[float, bool, str]) -> None:
    for name, (value, valid, expected) in arguments.items():
        if not (valid and np.isfinite(value)):
            msg = f"{name} must be {expected}, got {value!r}."
            raise ValueError(msg)
