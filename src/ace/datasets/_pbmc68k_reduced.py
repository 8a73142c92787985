"""The PBMC data bundled with scanpy, with restored counts."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import scanpy as sc
from scipy import sparse

# scanpy's values are rounded to three decimals in log1p space, so rounding changes them by at most
# 5e-4; the rest is tolerance for float32.
_ROUNDING = 5.1e-4
# Entries of `uns` that remain valid for the restored matrix.
_COLOURS = ("bulk_labels_colors", "louvain_colors")


def pbmc68k_reduced() -> ad.AnnData:
    r"""700 peripheral blood mononuclear cells with 765 genes, bundled with scanpy.

    This is :func:`scanpy.datasets.pbmc68k_reduced` (10x Genomics, Zheng et al. 2017), with
    restored integer counts. Its ``raw`` holds
    :math:`r = \log(1 + 10^4 k / n)` rounded to three decimals, where :math:`k` is the count of a
    gene and :math:`n` the total of the cell over all genes (``obs["n_counts"]``), so
    :math:`k = (e^r - 1)\, n / 10^4` differs from an integer only by rounding. This is checked when
    the data are loaded. Nothing is downloaded.

    Returns
    -------
    adata
        700 cells × 765 genes.

        - ``X``: log1p of the counts scaled to 10⁴ per cell *over these 765 genes*, CSR, float32,
          computed by :func:`scanpy.pp.normalize_total` and :func:`scanpy.pp.log1p`.
        - ``layers["counts"]``: the restored counts, CSR, int32.
        - ``obs``: as in scanpy, with ``bulk_labels`` (10 types, from bulk references) and
          ``louvain`` (11 clusters). ``n_counts``, ``n_genes`` and ``percent_mito`` describe all
          genes of the original experiment.
        - ``obsm["X_umap"]``: the UMAP shipped by scanpy.

        scanpy's PCA, neighbours, gene statistics and ranking were computed from a scaled matrix
        and are left out.

    Raises
    ------
    RuntimeError
        If integer counts cannot be restored from the matrix of the installed scanpy version.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> adata.shape
    (700, 765)
    >>> int(adata.layers["counts"].max())
    259
    """
    with warnings.catch_warnings():
        # anndata warns of the old format of the file, which users cannot change.
        warnings.filterwarnings("ignore", category=FutureWarning, module="anndata|scanpy")
        shipped = sc.datasets.pbmc68k_reduced()
    counts = _restore_counts(
        sparse.csr_matrix(shipped.raw.X), shipped.obs["n_counts"].to_numpy(dtype=np.float64)
    )
    adata = ad.AnnData(
        X=counts.astype(np.float32),
        obs=shipped.obs.copy(),
        var=shipped.raw.var.copy(),
        uns={name: shipped.uns[name] for name in _COLOURS if name in shipped.uns},
        obsm={"X_umap": np.asarray(shipped.obsm["X_umap"])},
        layers={"counts": counts},
    )
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    return adata


def _restore_counts(logged: sparse.csr_matrix, totals: np.ndarray) -> sparse.csr_matrix:
    """Restore integer counts from log1p values scaled to 10⁴ per cell."""
    total = np.repeat(totals, np.diff(logged.indptr))
    stored = logged.data.astype(np.float64)
    data = np.rint(np.expm1(stored) * total / 1e4)
    deviation = np.abs(stored - np.log1p(data * 1e4 / total)).max(initial=0.0)
    if not deviation <= _ROUNDING:  # also catches NaN
        raise RuntimeError(
            "the counts of pbmc68k_reduced cannot be restored: its raw values differ from "
            f"log1p(1e4 * count / n_counts) by up to {deviation:.2g}, more than rounding explains "
            f"({_ROUNDING:.2g}). The installed scanpy has a different matrix; install scanpy 1.11 "
            "or 1.12."
        )
    counts = sparse.csr_matrix(
        (data.astype(np.int32), logged.indices.copy(), logged.indptr.copy()), shape=logged.shape
    )
    counts.eliminate_zeros()
    return counts
