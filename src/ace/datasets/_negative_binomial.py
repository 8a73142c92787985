"""Draw sparse negative binomial counts without a dense matrix of counts."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def sparse_negative_binomial(
    mean: np.ndarray, dispersion: float, rng: np.random.Generator
) -> sparse.csr_matrix:
    r"""Draw negative binomial counts with variance :math:`\mu + \phi \mu^2`, as CSR float32.

    A negative binomial variable is a sum of :math:`N \sim` Poisson(:math:`\lambda`) variables with
    a logarithmic series distribution, where :math:`\lambda = \log(1 + \phi\mu)/\phi`. In a Poisson
    process, the first event occurs after an exponential waiting time. An entry is therefore
    non-zero if this time is below :math:`\lambda`, and the number of further events is Poisson
    with the remaining time as its mean. Only non-zero entries need more than one random number,
    so large sparse matrices are cheap. The method is exact.
    """
    # λ grows at most logarithmically with the mean, so float32 is precise enough for zeros.
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
