"""Simulated counts with known causal, dependent and noise genes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from ace._checks._arguments import number, seed, whole
from ace.datasets._negative_binomial import sparse_negative_binomial

# Size of the chunks of cells, in entries of the dense matrix of means (two or three float32
# matrices of this size exist at a time).
_CHUNK_ENTRIES = 4_000_000
# In the papers, a gene is causal if its log2 fold change between some pair of groups exceeds this.
_SMALLEST_LOG2_RANGE = 0.8
_WEIGHTS = (0.01, 0.8)
_MOST_PARENTS = 10
# Standard deviation of the natural logarithm of gene means and of library sizes.
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
    r"""Simulate counts of groups of cells that differ in known genes.

    The design follows the ACE (§5.1) and KRATOS (§6.1) papers, with negative binomial counts
    instead of SymSim's kinetic model:

    - *causal* genes differ between groups: the log2 effect of a group on a gene is
      :math:`N(0, \sigma^2)`, centred over groups and, if needed, stretched until some pair of
      groups differs by more than 0.8;
    - *dependent* genes are weighted sums of the observed counts of 1 to 10 causal genes, with
      weights :math:`U(0.01, 0.8)` and noise :math:`N(0, 1)`, rounded and clipped at zero;
    - *noise* genes have the same mean in every group.

    The mean of gene :math:`j` in cell :math:`i` of group :math:`c` and batch :math:`b` is
    :math:`s_i\, \bar\mu_j\, 2^{e_{cj} + f_{bj}}`, with log-normal library sizes :math:`s_i` and
    gene means :math:`\bar\mu_j`. The genes depend on ``random_state`` and on the numbers of genes,
    groups and batches, but not on the number of cells.

    Large data are cheap: 100 000 cells × 2000 genes with 8 % non-zero entries
    (``mean_counts=0.075``) take some seconds, and little more memory than the result.

    Parameters
    ----------
    n_cells
        Number of cells, distributed evenly over the groups.
    n_groups
        Number of groups, at least two.
    n_causal
        Number of causal genes.
    n_dependent
        Number of dependent genes. The ACE paper uses 100.
    n_noise
        Number of noise genes.
    mean_counts
        Mean count of causal and noise genes. Small means result in many zeros.
    dispersion
        :math:`\phi` in the variance :math:`\mu + \phi\mu^2`. 0 results in Poisson counts.
    log2_fold_change
        :math:`\sigma`, the standard deviation of the log2 effect of a group on a causal gene.
    dropout
        Probability that a non-zero count of a causal or noise gene is set to zero.
    n_batches
        Number of batches, assigned to cells at random.
    batch_effect
        Standard deviation of the log2 effect of a batch on a gene; the first batch has no effect.
        Not used if there is only one batch.
    shuffle_genes
        Put the genes in random order, so that their position is not informative. Otherwise,
        causal genes come first, then dependent genes, then noise genes.
    random_state
        Seed.

    Returns
    -------
    adata
        Cells × genes.

        - ``X``: counts, CSR, float32.
        - ``obs["group"]``, ``obs["batch"]``: categories ``"0"``, ``"1"``, ….
        - ``var["kind"]``: ``"causal"``, ``"dependent"`` or ``"noise"``.
        - ``varm["group_mean"]``: genes × groups, expected counts at library size 1 in the first
          batch, before dropout; for dependent genes, the weighted sum of these.
        - ``uns["simulated_panels"]``: the arguments.

    Raises
    ------
    ValueError
        If an argument is out of range.

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
    arguments = _Arguments(
        n_cells=n_cells,
        n_groups=n_groups,
        n_causal=n_causal,
        n_dependent=n_dependent,
        n_noise=n_noise,
        mean_counts=mean_counts,
        dispersion=dispersion,
        log2_fold_change=log2_fold_change,
        dropout=dropout,
        n_batches=n_batches,
        batch_effect=batch_effect,
        shuffle_genes=shuffle_genes,
        random_state=random_state,
    )
    _check(arguments)
    # Separate random streams, so that the genes do not depend on the number of cells.
    gene_rng, cell_rng = np.random.default_rng(random_state).spawn(2)
    genes = _draw_genes(arguments, gene_rng)
    cells = _draw_cells(arguments, cell_rng)
    counts = _draw_counts(arguments, genes, cells, cell_rng)
    return _annotated(counts, arguments, genes, cells)


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    """Arguments of :func:`simulated_panels`, in the order in which they are stored."""

    n_cells: int
    n_groups: int
    n_causal: int
    n_dependent: int
    n_noise: int
    mean_counts: float
    dispersion: float
    log2_fold_change: float
    dropout: float
    n_batches: int
    batch_effect: float
    shuffle_genes: bool
    random_state: int


@dataclass(frozen=True)
class _Genes:
    """Properties of the genes, in the order of the result."""

    kind: np.ndarray  # (genes,)
    mean: np.ndarray  # (batches, groups, genes), float32; 0 for dependent genes
    group_mean: np.ndarray  # (genes, groups)
    causal: np.ndarray  # columns of the causal genes
    dependent: np.ndarray  # columns of the dependent genes, ascending
    weights: np.ndarray  # (causal, dependent)


@dataclass(frozen=True)
class _Cells:
    """Properties of the cells, arrays of shape ``(cells,)``."""

    group: np.ndarray  # codes
    batch: np.ndarray  # codes
    library: np.ndarray  # library sizes, with mean 1


def _check(arguments: _Arguments) -> None:
    """Raise a ``ValueError`` if an argument is out of range."""
    whole(arguments.n_groups, "n_groups", 2)
    whole(arguments.n_cells, "n_cells (at least one per group)", arguments.n_groups)
    whole(arguments.n_causal, "n_causal", 1)
    whole(arguments.n_dependent, "n_dependent", 0)
    whole(arguments.n_noise, "n_noise", 0)
    whole(arguments.n_batches, "n_batches", 1)
    number(arguments.mean_counts, "mean_counts", 0, above=True)
    number(arguments.dispersion, "dispersion", 0)
    number(arguments.log2_fold_change, "log2_fold_change", 0, above=True)
    number(arguments.dropout, "dropout", 0, 1, below=True)
    number(arguments.batch_effect, "batch_effect", 0)
    seed(arguments.random_state)


def _draw_genes(arguments: _Arguments, rng: np.random.Generator) -> _Genes:
    n_causal, n_dependent = arguments.n_causal, arguments.n_dependent
    kind = np.repeat(["causal", "dependent", "noise"], [n_causal, n_dependent, arguments.n_noise])
    n_genes = len(kind)
    base = rng.lognormal(-(_GENE_SPREAD**2) / 2, _GENE_SPREAD, n_genes)
    base = arguments.mean_counts * base
    effect = np.zeros((arguments.n_groups, n_genes))
    effect[:, :n_causal] = _draw_effects(
        rng, arguments.n_groups, n_causal, arguments.log2_fold_change
    )
    batch = rng.normal(0, arguments.batch_effect, (arguments.n_batches, 1, n_genes))
    batch[0] = 0
    weights = _draw_weights(rng, n_causal, n_dependent)

    order = rng.permutation(n_genes) if arguments.shuffle_genes else np.arange(n_genes)
    group_mean = base * 2**effect
    dependent = slice(n_causal, n_causal + n_dependent)
    group_mean[:, dependent] = group_mean[:, :n_causal] @ weights
    mean = (base * 2 ** (effect + batch)).astype(np.float32)
    mean[..., dependent] = 0
    columns = np.argsort(order)  # column of each gene in the result
    ascending = np.argsort(columns[dependent])
    return _Genes(
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
    """Draw log2 effects of groups on causal genes, shape ``(groups, causal)``."""
    effect = rng.normal(0, log2_fold_change, (n_groups, n_causal))
    effect -= effect.mean(axis=0)
    stretch = 1.01 * _SMALLEST_LOG2_RANGE / np.ptp(effect, axis=0)
    return effect * np.maximum(stretch, 1)


def _draw_weights(rng: np.random.Generator, n_causal: int, n_dependent: int) -> np.ndarray:
    """Draw weights of causal genes in dependent genes, shape ``(causal, dependent)``."""
    weights = np.zeros((n_causal, n_dependent))
    for gene in range(n_dependent):
        n_parents = rng.integers(1, min(_MOST_PARENTS, n_causal) + 1)
        parents = rng.choice(n_causal, n_parents, replace=False)
        weights[parents, gene] = rng.uniform(*_WEIGHTS, n_parents)
    return weights


def _draw_cells(arguments: _Arguments, rng: np.random.Generator) -> _Cells:
    n_cells = arguments.n_cells
    return _Cells(
        group=rng.permutation(np.arange(n_cells) % arguments.n_groups),
        batch=rng.integers(arguments.n_batches, size=n_cells),
        # With mean 1, `mean_counts` is the mean of the counts.
        library=rng.lognormal(-(_LIBRARY_SPREAD**2) / 2, _LIBRARY_SPREAD, n_cells),
    )


def _draw_counts(
    arguments: _Arguments, genes: _Genes, cells: _Cells, rng: np.random.Generator
) -> sparse.csr_matrix:
    """Draw the counts in chunks of cells, to limit memory."""
    step = max(1, _CHUNK_ENTRIES // len(genes.kind))
    chunks = []
    for start in range(0, arguments.n_cells, step):
        chunk = slice(start, start + step)
        mean = genes.mean[cells.batch[chunk], cells.group[chunk]]
        mean *= cells.library[chunk, None].astype(np.float32)
        chunks.append(_draw_chunk(mean, genes, arguments, rng))
    return sparse.vstack(chunks, format="csr")


def _draw_chunk(
    mean: np.ndarray, genes: _Genes, arguments: _Arguments, rng: np.random.Generator
) -> sparse.csr_matrix:
    counts = sparse_negative_binomial(mean, arguments.dispersion, rng)
    if arguments.dropout > 0:
        counts.data *= rng.random(counts.nnz, dtype=np.float32) >= arguments.dropout
        counts.eliminate_zeros()
    if not len(genes.dependent):
        return counts
    # As published, dependent genes are sums of observed counts, after dropout.
    parents = counts[:, genes.causal].toarray().astype(np.float64)
    value = parents @ genes.weights
    value += rng.standard_normal(value.shape)
    sums = sparse.csr_matrix(np.maximum(np.rint(value), 0).astype(np.float32))
    placed = sparse.csr_matrix(
        (sums.data, genes.dependent[sums.indices], sums.indptr), shape=counts.shape
    )
    return counts + placed


def _annotated(
    counts: sparse.csr_matrix, arguments: _Arguments, genes: _Genes, cells: _Cells
) -> ad.AnnData:
    names = [f"gene{i}" for i in range(len(genes.kind))]
    groups = [str(i) for i in range(arguments.n_groups)]
    batches = [str(i) for i in range(arguments.n_batches)]
    return ad.AnnData(
        X=counts,
        obs=pd.DataFrame(
            {
                "group": pd.Categorical.from_codes(cells.group, groups),
                "batch": pd.Categorical.from_codes(cells.batch, batches),
            },
            index=[f"cell{i}" for i in range(arguments.n_cells)],
        ),
        var=pd.DataFrame(
            {"kind": pd.Categorical(genes.kind, ["causal", "dependent", "noise"])}, index=names
        ),
        varm={"group_mean": pd.DataFrame(genes.group_mean, index=names, columns=groups)},
        uns={"simulated_panels": asdict(arguments)},
    )
