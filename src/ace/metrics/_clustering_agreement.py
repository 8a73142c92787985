"""Agreement of clusterings with reference labels, and separation of the clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_score

from ace._checks import _arrays
from ace._checks._arguments import seed, whole
from ace._docs import doc_params
from ace._listed import listed
from ace.metrics import _texts

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import ArrayLike, NDArray


@doc_params(
    labels=_texts.LABELS,
)
def clustering_agreement(
    labels: ArrayLike,
    clusters: ArrayLike | Mapping[Hashable, ArrayLike] | pd.DataFrame,
    latents: ArrayLike | Mapping[Hashable, ArrayLike] | None = None,
    *,
    n_sampled: int | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    r"""Compare clusterings with reference labels by ARI, AMI and silhouette (KRATOS, Table 2).

    With :math:`n_{ij}` cells in cluster :math:`i` and of label :math:`j`, sums :math:`a_i` and
    :math:`b_j`, and :math:`n` cells, the adjusted Rand index and the adjusted mutual information
    are

    .. math::
        ARI = \frac{\sum_{ij} \binom{n_{ij}}{2} - E}
        {\frac12 \big[\sum_i \binom{a_i}{2} + \sum_j \binom{b_j}{2}\big] - E},
        \quad E = \frac{\sum_i \binom{a_i}{2} \sum_j \binom{b_j}{2}}{\binom{n}{2}},
        \qquad
        AMI = \frac{MI - \mathbb E[MI]}{\frac12 [H(U) + H(V)] - \mathbb E[MI]}

    Both are 1 for identical partitions and 0 on average for random ones. ARI counts pairs of
    cells, so large groups dominate it; AMI is more sensitive to small groups. The silhouette needs
    no reference labels: with the mean distance :math:`a` of a cell to its own group and :math:`b`
    to the nearest other group, it is the mean of :math:`(b - a) / \max(a, b)` over cells, from -1
    to 1.

    Parameters
    ----------
    {labels}
    clusters
        Cluster of each cell. For several clusterings, ``{name: clusters}`` or a frame with a
        column for each, such as ``adata.obs[["leiden", "kmeans"]]``.
    latents
        Cells × dimensions, for (Euclidean) distances; or ``{name: latent}`` with the names of the
        clusterings. If ``None``, silhouettes are not computed.
    n_sampled
        Number of random cells to compute silhouettes on, as their run time is quadratic in the
        number of cells. If ``None``, all cells are used.
    random_state
        Seed of the sample. All silhouettes use the same cells.

    Returns
    -------
    A row for each clustering (``"clusters"`` if it has no name), with the columns

    ``n_clusters``
        Number of clusters.
    ``ari``, ``ami``
        Agreement of the clusters with the labels.
    ``silhouette``, ``silhouette_labels``
        With ``latents`` only: silhouette of the clusters, and of the labels in the same latent
        space. NaN if there is only one group, or if every cell is a group.

    Raises
    ------
    ValueError
        If numbers of cells differ, a clustering has no latent space, or values are not finite.

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
        raise ValueError("clusters is empty; pass the cluster of each cell, or {name: clusters}.")
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
        raise ValueError(f"the clustering {name!r} is invalid: {error}") from None


def _check_latents(
    latents: ArrayLike | Mapping[Hashable, ArrayLike], names: list[Hashable], n_cells: int
) -> dict[Hashable, NDArray[np.float32]]:
    given = latents if isinstance(latents, Mapping) else dict.fromkeys(names, latents)
    lacking = [name for name in names if name not in given]
    if lacking:
        raise ValueError(
            f"latents has no latent space for the clusterings {listed(lacking)}; it has "
            f"{listed(given)}."
        )
    checked = {
        name: _arrays.coordinates(given[name], f"the latent space of {name!r}") for name in names
    }
    for name, z in checked.items():
        if len(z) != n_cells:
            raise ValueError(
                f"the latent space of {name!r} has {len(z)} cells, but labels has {n_cells}."
            )
    return checked


def _sample(n_cells: int, n_sampled: int | None, random_state: int) -> NDArray[np.intp]:
    if n_sampled is None:
        return np.arange(n_cells)
    whole(n_sampled, f"n_sampled (of {n_cells} cells)", 2, n_cells)
    return np.sort(np.random.default_rng(random_state).choice(n_cells, n_sampled, replace=False))


def _silhouette(z: NDArray[np.float32], groups: NDArray[np.str_]) -> float:
    n_groups = len(np.unique(groups))
    # scikit-learn raises an error if there is one group, or if every cell is a group.
    return float(silhouette_score(z, groups)) if 2 <= n_groups < len(groups) else np.nan
