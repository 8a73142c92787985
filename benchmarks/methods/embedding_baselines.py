"""Rankings of genes that explain a given embedding: translations in it, and its derivatives.

As in ``baselines``: cells (here with principal components) and a seed to the column numbers of
all genes, best first, by group.
"""

import anndata as ad
import numpy as np
import scanpy as sc
import scipy.sparse as sp

from benchmarks.methods.baselines import Panels, dense, groups_of, ordered, univariate

#: GCE: penalties as shares of the smallest one under which nothing is translated, and the share of
#: a group's squared distance from the mean of all that may remain: of 0.02 to 0.5, the one whose
#: short panels tell the types of PBMC3k and of the pancreas best.
GCE_PATH = np.geomspace(0.7, 0.002, 24)
GCE_REMAINDER = 0.5
GCE_STEPS = 400

#: GRS: neighbours, components of the diffusion map, and genes that count as relevant to a cell;
#: the defaults of its authors' package (destiny).
GRS_NEIGHBORS = 20
GRS_COMPONENTS = 2
GRS_TOP = 10
#: Directions around a cell with steps shorter than this share of the longest have no slope.
GRS_RANK = 0.1


def gce(adata: ad.AnnData, seed: int) -> Panels:
    r"""Global counterfactual explanations (Plumb et al., 2020) of the PCA of the cells.

    One translation δ_g of the genes per group; for a linear embedding the problem is convex:

    .. math::
        \min_δ \tfrac12 \sum_{i<j} \lVert W^⊤(δ_j - δ_i) - (\bar z_j - \bar z_i) \rVert^2
        + λ \sum_{i<j} \lVert δ_j - δ_i \rVert_1

    Solved by accelerated proximal steps along a path of λ. Genes are ranked by how far they move
    the mean of the other cells, then by their part of the gradient.
    """
    del seed
    X = dense(adata.X)
    weights, embedded = (
        np.asarray(x, np.float64) for x in (adata.varm["PCs"], adata.obsm["X_pca"])
    )
    groups = list(groups_of(adata))
    centres = np.array([embedded[inside].mean(axis=0) for _, inside in groups])
    solutions = translations(weights, centres - centres.mean(axis=0))
    size = np.array([inside.sum() for _, inside in groups], dtype=np.float64)
    panels = {}
    for g, (name, inside) in enumerate(groups):
        delta, gradient = solutions[g]
        share = np.where(np.arange(len(groups)) == g, 0.0, size)
        moved = np.abs(delta[g] - share / share.sum() @ delta)
        panels[name] = ordered(moved, np.abs(gradient[g]), univariate(X, inside))
    return panels


def translations(weights: np.ndarray, centres: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each group: sparse centred translations and the gradient there, groups × genes."""
    n_groups = len(centres)
    delta = np.zeros((n_groups, len(weights)))
    at_zero = -n_groups * centres @ weights.T
    strongest = _smallest_idle_penalty(at_zero)
    target = (centres**2).sum(axis=1)
    solutions: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for share in GCE_PATH:
        previous, point, momentum = delta, delta, 1.0
        for _ in range(GCE_STEPS):
            error = point @ weights - centres
            step = point - (error - error.mean(axis=0)) @ weights.T
            delta = _fused(step, share * strongest / n_groups)
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            point = delta + (momentum - 1) / following * (delta - previous)
            moved = np.abs(delta - previous).max()
            previous, momentum = delta, following
            if moved <= 1e-5 * max(np.abs(delta).max(), 1e-12):
                break
        error = delta @ weights - centres
        error -= error.mean(axis=0)
        near = (error**2).sum(axis=1) <= GCE_REMAINDER * target
        here = (delta, n_groups * error @ weights.T)
        solutions |= {g: here for g in np.flatnonzero(near) if g not in solutions}
        if len(solutions) == n_groups:
            break
    return [solutions.get(g, here) for g in range(n_groups)]


def _smallest_idle_penalty(gradient: np.ndarray) -> float:
    """The penalty from which on nothing is translated."""
    n_groups = len(gradient)
    pull = np.abs(np.cumsum(np.sort(gradient, axis=0), axis=0))[:-1]
    size = np.arange(1, n_groups)
    return float((pull / (size * (n_groups - size))[:, None]).max())


def _fused(values: np.ndarray, penalty: float) -> np.ndarray:
    """Proximal map of ``penalty`` × the absolute differences of all pairs, in each column."""
    n = len(values)
    order = np.argsort(values, axis=0, kind="stable")
    slopes = penalty * (2.0 * np.arange(n) - n + 1)
    ascending = np.take_along_axis(values, order, axis=0) - slopes[:, None]
    fused = np.empty_like(values)
    np.put_along_axis(fused, order, _isotonic(ascending), axis=0)
    return fused


def _isotonic(values: np.ndarray) -> np.ndarray:
    """Nearest non-decreasing values in each column: largest of lowest means of intervals."""
    n = len(values)
    sums = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    result = np.full_like(values, -np.inf)
    for start in range(n):
        lengths = np.arange(1, n - start + 1)[:, None]
        means = (sums[start + 1 :] - sums[start]) / lengths
        lowest = np.minimum.accumulate(means[::-1], axis=0)[::-1]
        np.maximum(result[start:], lowest, out=result[start:])
    return result


def grs(adata: ad.AnnData, seed: int) -> Panels:
    """Gene relevance on a diffusion map (Angerer et al., 2020), by group."""
    X = dense(adata.X)
    neighbors, components = _diffusion_map(adata, seed)
    n_cells, n_near = neighbors.shape
    near = sp.csr_array(
        (np.full(neighbors.size, 1 / n_near), neighbors.ravel(), np.arange(n_cells + 1) * n_near),
        shape=(n_cells, n_cells),
    )
    slopes = [near @ (slope @ X) for slope in _slopes(neighbors, components)]
    relevance = np.sqrt(sum(slope**2 for slope in slopes))
    n_top = min(GRS_TOP, X.shape[1])
    relevant = relevance >= -np.partition(-relevance, n_top - 1, axis=1)[:, n_top - 1 : n_top]
    return {
        name: ordered(relevant[inside].mean(axis=0), relevance[inside].mean(axis=0))
        for name, inside in groups_of(adata)
    }


def _slopes(neighbors: np.ndarray, components: np.ndarray) -> list[sp.csr_array]:
    """For each component, the matrix that takes expression to its derivatives at the cells."""
    n_cells, n_near = neighbors.shape
    steps = components[neighbors] - components[:, None]
    fits = np.linalg.pinv(steps, rcond=GRS_RANK)
    rows = np.repeat(np.arange(n_cells), n_near)
    matrices = []
    for weights in np.moveaxis(fits, 1, 0):
        to = sp.csr_array((weights.ravel(), (rows, neighbors.ravel())), shape=(n_cells, n_cells))
        matrices.append(to - sp.diags_array(weights.sum(axis=1)))
    return matrices


def _diffusion_map(adata: ad.AnnData, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of each cell, itself first, and components without the constant one."""
    embedded = np.asarray(adata.obsm["X_pca"], np.float64)
    own = ad.AnnData(sp.csr_array((adata.n_obs, 1)), obsm={"X_pca": embedded})
    n_near = min(GRS_NEIGHBORS, adata.n_obs - 1)
    sc.pp.neighbors(own, n_neighbors=n_near, use_rep="X_pca", random_state=seed)
    n_components = min(GRS_COMPONENTS + 1, adata.n_obs - 2)
    sc.tl.diffmap(own, n_comps=n_components, random_state=seed)
    distances = own.obsp["distances"].tocsr()
    # One row a cell, of as many entries each.
    near = distances.indices.reshape(adata.n_obs, -1)
    neighbors = np.column_stack([np.arange(adata.n_obs), near])
    components = own.obsm["X_diffmap"][:, 1:].astype(np.float64)
    return neighbors, components / components.std(axis=0)
