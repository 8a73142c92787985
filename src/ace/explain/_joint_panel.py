"""One panel of genes that distinguishes all groups from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_solve, cholesky

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Genes that are compared jointly: this many, or this many for each gene of the panel.
MIN_CANDIDATES, CANDIDATES_PER_GENE = 400, 4
#: Squared distance below which the separation of two groups is proportional to it.
SCALE = 8.0
#: Ridge of the covariance: a share of the mean variance of a feature within groups, a share of its
#: largest variance in a group, and a constant. Without the second, a gene that a few cells of one
#: small group express would seem to have hardly any variance.
RIDGE_OF_MEAN, RIDGE_OF_LARGEST, RIDGE = 0.05, 0.5, 0.01
#: A feature adds nothing if less than this share of its variance is unexplained.
NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class JointPanel:
    """Genes in the order in which they entered.

    Attributes
    ----------
    genes
        Column of each gene.
    gains
        Increase of the criterion by each gene.
    pairs
        For each gene the two groups whose separation increased most, shape ``(n_genes, 2)``. The
        first of them expresses the gene more.
    """

    genes: np.ndarray
    gains: np.ndarray
    pairs: np.ndarray


def joint_panel(
    x: sp.csr_array, codes: np.ndarray, n_genes: int, eligible: np.ndarray, forced: np.ndarray
) -> JointPanel:
    r"""Choose genes that together distinguish all groups from each other.

    Genes enter one at a time, by the criterion of :func:`ace.tl.select_panel`: the sum over all
    pairs of groups of :math:`\log(1 + d^2 / 8)`, with the squared distance :math:`d^2` of the
    groups by the features of the panel.

    The increase of a distance by the best of :math:`m` genes that do not differ between two groups
    of :math:`n_a` and :math:`n_b` cells is about :math:`2 \log(m) \, (1 / n_a + 1 / n_b)`, the
    largest of :math:`m` chi-squared variables with two degrees of freedom. This is subtracted from
    each increase, so that small groups do not attract genes that differ by chance.

    Parameters
    ----------
    x
        Values, cells × genes.
    codes
        Group of each cell.
    n_genes
        Number of genes, including the forced ones.
    eligible
        Columns that may enter.
    forced
        Columns that enter first, in this order.
    """
    n_candidates = max(MIN_CANDIDATES, CANDIDATES_PER_GENE * n_genes)
    screened = screen(x, codes, eligible, n_candidates)
    columns = np.concatenate([forced, screened[~np.isin(screened, forced)]])
    moments = Moments.of(x[:, columns], codes)
    order, gains, pairs = _enter(moments, n_genes, len(forced))
    return JointPanel(columns[order], gains, pairs)


def screen(x: sp.csr_array, codes: np.ndarray, eligible: np.ndarray, most: int) -> np.ndarray:
    """Return the best genes of each pair of groups in turn, by their standardised differences."""
    groups, codes = np.unique(codes, return_inverse=True)
    n = np.bincount(codes)
    member = sp.csr_array(
        (1 / n[codes], (codes, np.arange(len(codes)))), (len(groups), len(codes))
    )
    x = x[:, eligible]
    best = np.zeros((len(groups) * (len(groups) - 1) // 2, x.shape[1]))
    for values in (x, _detected(x)):
        mean = (member @ values).toarray()
        variance = np.maximum((member @ values.power(2)).toarray() - mean**2, 0).mean(0)
        first, second = np.triu_indices(len(groups), 1)
        np.maximum(best, (mean[first] - mean[second]) ** 2 / (variance + RIDGE), out=best)
    ranked = np.argsort(-best, axis=1, kind="stable")[:, :most]
    in_turn = ranked.T.ravel()
    _, at = np.unique(in_turn, return_index=True)
    return eligible[in_turn[np.sort(at)][:most]]


@dataclass(frozen=True)
class Moments:
    """Means and covariance of the features of genes: value and detection of each, in turn.

    Attributes
    ----------
    groups
        Code of each group that has cells.
    counts
        Number of cells of each group.
    mean
        Groups × features.
    covariance
        Within groups, mean over the groups, with a ridge; features × features.
    """

    groups: np.ndarray
    counts: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, x: sp.csr_array, codes: np.ndarray) -> Moments:
        """Moments of the groups of some cells."""
        groups, counts = np.unique(codes, return_counts=True)
        mean = np.zeros((len(groups), 2 * x.shape[1]))
        covariance = np.zeros((mean.shape[1], mean.shape[1]))
        largest = np.zeros(mean.shape[1])
        for row, (_, values) in enumerate(_by_group(x, codes)):
            mean[row] = values.mean(0)
            values -= mean[row]
            own = values.T @ values / max(len(values) - 1, 1)
            covariance += own / len(groups)
            np.maximum(largest, np.diag(own), out=largest)
        ridge = RIDGE + RIDGE_OF_MEAN * np.diag(covariance) + RIDGE_OF_LARGEST * largest
        return cls(groups, counts, mean, covariance + np.diag(ridge))

    def first(self, n_genes: int) -> Moments:
        """Moments of the first genes only."""
        n = 2 * n_genes
        return Moments(self.groups, self.counts, self.mean[:, :n], self.covariance[:n, :n])

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Code of the group with the nearest mean, by the distance of the criterion."""
        factor = cholesky(self.covariance, lower=True)
        weights = cho_solve((factor, True), self.mean.T)
        offset = (self.mean.T * weights).sum(0) / 2
        return self.groups[np.argmax(values @ weights - offset, axis=1)]


def separation(distance: np.ndarray) -> np.ndarray:
    """Separation of two groups by their squared distance; diminishing returns."""
    return np.log1p(distance / SCALE)


def features(x: sp.csr_array) -> np.ndarray:
    """Value and detection of each gene, in turn; cells × features."""
    values = np.empty((x.shape[0], 2 * x.shape[1]))
    values[:, ::2] = x.toarray()
    values[:, 1::2] = values[:, ::2] > 0
    return values


def _by_group(x: sp.csr_array, codes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Features of the cells of each group; only one group is dense at a time."""
    for group in np.unique(codes):
        yield int(group), features(x[codes == group])


def _detected(x: sp.csr_array) -> Any:
    """1 for positive values, otherwise 0."""
    return (x > 0).astype(np.float64)


def _enter(
    moments: Moments, n_genes: int, n_forced: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forward selection; the first ``n_forced`` genes enter first.

    When a gene enters, its features are swept out of the means and of the covariance, so that the
    increase of a distance is that of the remaining two features alone. A step takes
    ``n_features ** 2`` operations, whatever the number of cells.
    """
    mean, covariance = moments.mean.copy(), moments.covariance.copy()
    variance = np.diag(covariance).copy()
    first, second = np.triu_indices(len(mean), 1)
    n_candidates = mean.shape[1] // 2
    chance = 2 * np.log(n_candidates) * (1 / moments.counts[first] + 1 / moments.counts[second])
    distance = np.zeros((len(first), 1))
    order: list[int] = []
    gains: list[float] = []
    pairs: list[tuple[int, int]] = []
    for step in range(n_genes):
        further = np.maximum(_increase(mean, covariance, first, second) - chance[:, None], 0)
        added = separation(distance + further) - separation(distance)
        gain = added.sum(0)
        gain[order] = -1
        gene = step if step < n_forced else int(np.argmax(gain))
        pair = int(np.argmax(added[:, gene]))
        a, b = first[pair], second[pair]
        if moments.mean[a, 2 * gene] < moments.mean[b, 2 * gene]:
            a, b = b, a
        order.append(gene)
        gains.append(gain[gene])
        pairs.append((moments.groups[a], moments.groups[b]))
        distance += further[:, [gene]]
        for feature in (2 * gene, 2 * gene + 1):
            _sweep(mean, covariance, feature, variance[feature])
    return np.array(order), np.array(gains), np.array(pairs)


def _increase(
    mean: np.ndarray, covariance: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Increase of the squared distance of each pair by each gene, pairs × genes."""
    diagonal = np.diag(covariance)
    v, w = diagonal[::2], diagonal[1::2]
    shared = np.diag(covariance, 1)[::2]
    # Genes that have entered have no variance left, and no difference either.
    determinant = np.maximum(v * w - shared**2, 1e-12)
    by_value = mean[first, ::2] - mean[second, ::2]
    by_detection = mean[first, 1::2] - mean[second, 1::2]
    increase = (
        w * by_value**2 - 2 * shared * by_value * by_detection + v * by_detection**2
    ) / determinant
    return np.maximum(increase, 0)


def _sweep(mean: np.ndarray, covariance: np.ndarray, feature: int, variance: float) -> None:
    """Remove what a feature explains from the others, in place."""
    column = covariance[:, feature].copy()
    left = column[feature]
    if left > NEGLIGIBLE * variance:
        mean -= np.outer(mean[:, feature], column / left)
        covariance -= np.outer(column, column / left)
    mean[:, feature] = 0
    covariance[feature] = covariance[:, feature] = 0
