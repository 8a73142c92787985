"""Clustering: whether clusters are the given groups, and whether they lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_score

from ace._checks import _arrays
from ace._checks._arguments import seed, whole
from ace._listed import listed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import ArrayLike, NDArray


def clustering_agreement(
    labels: ArrayLike,
    clusters: ArrayLike | Mapping[Hashable, ArrayLike] | pd.DataFrame,
    latents: ArrayLike | Mapping[Hashable, ArrayLike] | None = None,
    *,
    n_sampled: int | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    r"""Compare clusterings with given labels (Kratos, Table 2): ARI, AMI and silhouette.

    With :math:`n_{ij}` cells in cluster :math:`i` and of label :math:`j`, sums :math:`a_i` and
    :math:`b_j`, and :math:`n` cells, the adjusted Rand index and the adjusted mutual information
    are

    .. math::
        ARI = \frac{\sum_{ij} \binom{n_{ij}}{2} - E}
        {\frac12 \big[\sum_i \binom{a_i}{2} + \sum_j \binom{b_j}{2}\big] - E},
        \quad E = \frac{\sum_i \binom{a_i}{2} \sum_j \binom{b_j}{2}}{\binom{n}{2}},
        \qquad
        AMI = \frac{MI - \mathbb E[MI]}{\frac12 [H(U) + H(V)] - \mathbb E[MI]}

    1 is agreement, 0 is what is expected by chance. ARI is about pairs of cells, so large groups
    decide it; AMI heeds small ones more. The silhouette asks for no second opinion: with the mean
    distance :math:`a` of a cell to its own group and :math:`b` to the nearest other one, it is the
    mean of :math:`(b - a) / \max(a, b)` over cells, from -1 to 1.

    Parameters
    ----------
    labels
        The given group of each cell.
    clusters
        The cluster of each cell; of several clusterings, ``{name: clusters}`` or a frame with a
        column for each, such as ``adata.obs[["leiden", "kmeans"]]``.
    latents
        Cells × dimensions where distances are taken (Euclidean); or ``{name: latent}`` for the
        same names as the clusterings. Without it there is no silhouette.
    n_sampled
        Take the silhouettes of so many random cells: their time grows with the square of the
        number. ``None``: of all.
    random_state
        Seed of that choice. All silhouettes are of the same cells.

    Returns
    -------
    Frame with a row for each clustering (``"clusters"`` if it has no name) and the columns

    ``n_clusters``
        Number of clusters.
    ``ari``, ``ami``
        Agreement of the clusters with the labels.
    ``silhouette``, ``silhouette_labels``
        With ``latents``: of the clusters, and of the given labels in the same latent. NaN where
        there is one group only, or where every cell is one.

    Raises
    ------
    ValueError
        If numbers of cells do not fit, a clustering has no latent, or values are not finite.

    References
    ----------
    Hubert & Arabie (1985), *Comparing partitions*; Vinh et al. (2010), *Information theoretic
    measures for clusterings comparison*; Rousseeuw (1987), *Silhouettes*; all computed by
    scikit-learn.

    Examples
    --------
    >>> import ace
    >>> import scanpy as sc
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> sc.pp.pca(adata, n_comps=20)
    >>> ace.metrics.clustering_agreement(
    ...     adata.obs["bulk_labels"], adata.obs[["louvain"]], adata.obsm["X_pca"]
    ... ).round(2)
                n_clusters   ari  ami  silhouette  silhouette_labels
    clustering
    louvain             11  0.41  0.6        0.19               0.17
    """
    names = _arrays.labels(labels)
    found = clusters if isinstance(clusters, Mapping | pd.DataFrame) else {"clusters": clusters}
    found = {name: _check_clusters(own, len(names), name) for name, own in found.items()}
    if not found:
        msg = "clusters is empty; give the cluster of each cell, or {name: clusters}."
        raise ValueError(msg)
    places = None if latents is None else _check_latents(latents, list(found), len(names))
    seed(random_state)
    sampled = _sample(len(names), n_sampled, random_state)

    rows = {}
    for name, own in found.items():
        rows[name] = {
            "n_clusters": len(np.unique(own)),
            "ari": adjusted_rand_score(names, own),
            "ami": adjusted_mutual_info_score(names, own),
        }
        if places is not None:
            place = places[name][sampled]
            rows[name]["silhouette"] = _silhouette(place, own[sampled])
            rows[name]["silhouette_labels"] = _silhouette(place, names[sampled])
    return pd.DataFrame(list(rows.values()), index=pd.Index(list(rows), name="clustering"))


def _check_clusters(clusters: ArrayLike, n_cells: int, name: Hashable) -> NDArray[np.str_]:
    try:
        return _arrays.labels(clusters, n_cells)
    except ValueError as error:
        msg = f"clusters, {name!r}: {error}"
        raise ValueError(msg) from None


def _check_latents(
    latents: ArrayLike | Mapping[Hashable, ArrayLike], names: list[Hashable], n_cells: int
) -> dict[Hashable, NDArray[np.float32]]:
    given = latents if isinstance(latents, Mapping) else dict.fromkeys(names, latents)
    lacking = [name for name in names if name not in given]
    if lacking:
        msg = f"The clusterings {listed(lacking)} have no latent; latents names {listed(given)}."
        raise ValueError(msg)
    checked = {name: _arrays.coordinates(given[name], f"The latent of {name!r}") for name in names}
    for name, z in checked.items():
        if len(z) != n_cells:
            msg = f"The latent of {name!r} has {len(z)} cells, labels has {n_cells}."
            raise ValueError(msg)
    return checked


def _sample(n_cells: int, n_sampled: int | None, random_state: int) -> NDArray[np.intp]:
    if n_sampled is None:
        return np.arange(n_cells)
    whole(n_sampled, f"of {n_cells} cells, n_sampled", 2, n_cells)
    return np.sort(np.random.default_rng(random_state).choice(n_cells, n_sampled, replace=False))


def _silhouette(z: NDArray[np.float32], groups: NDArray[np.str_]) -> float:
    n_groups = len(np.unique(groups))
    # scikit-learn refuses what has no second group, or no second cell in any group.
    return float(silhouette_score(z, groups)) if 2 <= n_groups < len(groups) else np.nan
