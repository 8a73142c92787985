"""Sparse negative binomial counts, without a dense matrix of counts."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def sparse_negative_binomial(
    mean: np.ndarray, dispersion: float, rng: np.random.Generator
) -> sparse.csr_matrix:
    r"""Negative binomial counts with variance :math:`\mu + \phi \mu^2`, as CSR float32.

    A negative binomial is a Poisson number of events, :math:`N \sim` Poisson(:math:`\lambda`) with
    :math:`\lambda = \log(1 + \phi\mu)/\phi`, each of logarithmic-series size. The first event
    falls at an exponential time, so an entry is non-zero if that time is below
    :math:`\lambda`, and the number of the remaining events is Poisson of what is left. One
    exponential per entry decides where the non-zeros are and only those cost more, which is what
    makes large sparse matrices cheap. It is exact, not an approximation.
    """
    # λ is at most logarithmic in the mean, so float32 decides zeros well enough.
    rate = np.log1p(dispersion * mean) / dispersion if dispersion > 0 else mean
    first = rng.standard_exponential(mean.shape, dtype=np.float32)
    flat = np.flatnonzero(first < rate)
    left = np.maximum(rate.ravel()[flat] - first.ravel()[flat], 0)
    events = 1 + rng.poisson(left)
    counts = events
    if dispersion > 0 and len(flat):
        scaled = dispersion * mean.ravel()[flat].astype(np.float64)
        sizes = rng.logseries(np.repeat(scaled / (1 + scaled), events))
        counts = np.add.reduceat(sizes, np.cumsum(events) - events)
    n_rows, n_columns = mean.shape
    rows, columns = np.divmod(flat, n_columns)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))])
    return sparse.csr_matrix((counts.astype(np.float32), columns, indptr), shape=mean.shape)
