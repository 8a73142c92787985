"""Judge a latent space: its types, batches and time points, and what it listens to."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, silhouette_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

#: Types with fewer cells are not asked for, and keep no score.
MIN_CELLS = 20
N_NEIGHBORS = 15
FOLDS = 5


def types_kept(z: np.ndarray, types: np.ndarray) -> dict[str, float]:
    """Types as told by a vote of the 15 nearest cells, in five folds."""
    return _told(KNeighborsClassifier(N_NEIGHBORS), z, types)


def genes_tell(x: np.ndarray, types: np.ndarray) -> dict[str, float]:
    """Types as told by some genes alone: by a vote, and by logistic regression on z-scores."""
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    found = _told(linear, x, types)
    return types_kept(x, types) | {f"logistic_{k}": v for k, v in found.items()}


def _told(classifier: Any, x: np.ndarray, types: np.ndarray) -> dict[str, float]:
    names, counts = np.unique(types, return_counts=True)
    kept = np.isin(types, names[counts >= MIN_CELLS])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    found = cross_val_predict(classifier, x[kept], types[kept], cv=folds)
    return {
        "accuracy": float(accuracy_score(types[kept], found)),
        "balanced_accuracy": float(balanced_accuracy_score(types[kept], found)),
    }


def mixing(z: np.ndarray, groups: np.ndarray) -> float:
    """Neighbours of another group among the 15 nearest, over those of a random choice."""
    codes = np.unique(groups, return_inverse=True)[1]
    near = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(z).kneighbors(return_distance=False)
    share = np.bincount(codes) / len(codes)
    return float((codes[near] != codes[:, None]).mean() / (1 - share @ share))


def times_apart(z: np.ndarray, types: np.ndarray, times: np.ndarray) -> dict[str, Any]:
    """Time points within each type: mixing (0 = apart), silhouette (1 = apart), and their means.

    Of types with at least two time points of 20 cells; cells of smaller ones are left out.
    """
    by_type: dict[str, dict[str, float]] = {}
    for name in np.unique(types):
        rows = np.flatnonzero(types == name)
        _, codes, counts = np.unique(times[rows], return_inverse=True, return_counts=True)
        large = counts >= MIN_CELLS
        if large.sum() < 2:
            continue
        rows = rows[large[codes]]
        by_type[str(name)] = {
            "mixing": round(mixing(z[rows], times[rows]), 4),
            "silhouette": round(float(silhouette_score(z[rows], times[rows])), 4),
        }
    means = {
        f"time_{field}": float(np.mean([v[field] for v in by_type.values()]))
        for field in ("mixing", "silhouette")
    }
    return means | {"time_by_type": by_type}


def founders(
    adata: AnnData, model: Any, genes: Sequence[str] | str, groupby: str, **options: Any
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Mean score over all pairs of subclusters, of the genes and of random ones; the pairs."""
    own = adata.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ace.tl.fssf(own, model, genes, groupby, **options)
    pairs = ace.get.fssf_df(own)
    found = {
        "fssf": float(pairs["fssf"].mean()),
        "fssf_median": float(pairs["fssf"].median()),
        "fssf_random": float(pairs["random_mean"].mean()),
        "n_pairs": len(pairs),
        "fssf_by_type": {
            str(k): round(float(v), 4)
            for k, v in pairs.groupby("group", observed=True)["fssf"].mean().items()
        },
    }
    return found, pairs


def compact(pairs: pd.DataFrame) -> list[list[Any]]:
    """Pairs as they are kept: type, score, mean of random sets."""
    table = pairs[["group", "fssf", "random_mean"]].astype({"group": str})
    return [[g, round(f, 3), round(r, 3)] for g, f, r in table.itertuples(index=False)]


def share(attributions: np.ndarray, chosen: np.ndarray) -> float:
    """Share of each cell's absolute attribution that is on some genes, mean over the cells."""
    absolute = np.abs(attributions)
    total = absolute.sum(1)
    return float((absolute[:, chosen].sum(1)[total > 0] / total[total > 0]).mean())


def shown(row: Mapping[str, Any]) -> str:
    """Numbers of a row, for the screen."""
    return ", ".join(f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float))
