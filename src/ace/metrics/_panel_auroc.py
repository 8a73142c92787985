"""Discrimination: whether a classifier finds the group by the panel's genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import expon
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ace._checks import _arguments, _arrays, _panels
from ace._checks._arguments import one_of, seed, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator

    from ace._checks._arrays import Matrix
    from ace._checks._panels import Panels

#: The grid of the ACE paper.
C_GRID = tuple(5.0**e for e in range(-5, 6))
#: What the Kratos paper draws from.
DRAWN = {"svc__C": expon(scale=100), "svc__gamma": expon(scale=0.1)}


def panel_auroc(
    X: Matrix,
    labels: ArrayLike,
    panels: Panels,
    n_top: float | Sequence[float] = (3, 5, 10, 18),
    *,
    protocol: Literal["fixed", "nested", "random"] = "fixed",
    C: float | Sequence[float] | None = None,
    n_iter: int = 10,
    n_splits: int = 3,
    min_cells: int = 50,
    n_jobs: int | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    r"""Area under the ROC curve of a classifier that sees only the top genes of a panel.

    For each group and each number of genes, a support vector machine with a radial basis function
    kernel separates the cells of the group from all others, by stratified cross-validation. The
    genes are z-scored on the training cells of each fold, and the kernel's width is scikit-learn's
    ``gamma="scale"``, which is one over the number of genes for z-scored data.

    With ``protocol="nested"``, the protocol of the ACE paper (§5.2), :math:`C` is chosen within
    the training cells of each fold by a further cross-validation with as many folds, maximising
    the AUROC. ``protocol="random"``, that of the Kratos paper (§6.2), does so for pairs of
    :math:`C` and :math:`\gamma`, drawn from exponential distributions with means 100 and 0.1
    (the paper's :math:`\sigma` is read as scikit-learn's :math:`\gamma`, the factor of the squared
    distance). ``protocol="fixed"`` takes one :math:`C` and balanced class weights, for about 30
    times less work.

    To judge a *method* rather than given panels, choose the panels on other cells than these.

    Parameters
    ----------
    X
        Cells × genes, sparse or dense. Data on disk or in a dask array are read into memory. Only
        the columns of a panel are ever made dense.
    labels
        The group of each cell.
    panels
        For each group, column indices of its genes, best first. Groups without a panel are not
        judged, but their cells are among "all others".
    n_top
        Numbers of genes to judge; or shares of all genes, 0.01 for 1 %, rounded down.
    protocol
        ``"fixed"``, ``"nested"`` (grid search) or ``"random"`` (random search).
    C
        The value for ``"fixed"`` (default 1), or the grid for ``"nested"``
        (default :math:`5^{-5}, 5^{-4}, …, 5^5`).
    n_iter
        Number of pairs that ``"random"`` draws. The paper does not tell it; 10 is scikit-learn's.
    n_splits
        Number of folds, of the inner cross-validation too.
    min_cells
        Groups with fewer cells are left out, as in the papers.
    n_jobs
        Number of processes over groups, numbers of genes and folds, as in :mod:`joblib`.
    random_state
        Seed of the splits, and of what ``"random"`` draws. Each group is split once; all numbers
        of genes share its folds, and all searches the pairs drawn.

    Returns
    -------
    aurocs
        One row for each group, number of genes and fold: ``group``, ``n_top``, ``fold``,
        ``auroc``, ``C`` (used), ``gamma`` (used; NaN for ``"scale"``), ``n_cells`` (of the group).
        The papers' curve is ``aurocs.groupby("n_top")["auroc"].agg(["mean", "sem"])``, as drawn by
        :func:`ace.pl.panel_curves`.

    Raises
    ------
    TypeError
        If ``X`` is an AnnData, or ``panels`` is not a mapping.
    ValueError
        If a number is out of range, a panel is shorter than asked for or names columns or groups
        that do not exist, if no group has ``min_cells`` cells and cells for every fold, or if
        values of a panel are not finite or above 1e15.

    References
    ----------
    Lu et al. (2021), *ACE: Explaining cluster from an adversarial perspective*, §5.2; Zhou et al.
    (2022), *KRATOS: Context-Aware Cell Type Classification and Interpretation Using Joint
    Dimensionality Reduction and Clustering*, §6.2.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.simulated_panels(random_state=0, shuffle_genes=False)
    >>> panels = {group: range(20) for group in adata.obs["group"].cat.categories}
    >>> X = adata.X.log1p()
    >>> aurocs = ace.metrics.panel_auroc(X, adata.obs["group"], panels, n_top=(1, 20))
    >>> bool(aurocs.groupby("n_top")["auroc"].mean()[20] > 0.95)
    True
    """
    X = _arrays.matrix(X)
    sizes = _panels.panel_sizes(n_top, X.shape[1])
    names = _arrays.labels(labels, X.shape[0])
    checked = _panels.index_panels(panels, X.shape[1], sizes[-1], names)
    whole(min_cells, "min_cells", 0)
    seed(random_state)
    _arguments.n_jobs(n_jobs)
    grid = _check_protocol(protocol, C, n_iter, n_splits)
    model = _model(protocol, grid, n_iter, n_splits, random_state)

    # A search splits the training cells of a fold again.
    fewest = n_splits if protocol == "fixed" else -(-(n_splits**2) // (n_splits - 1))
    tasks, rows = [], []
    for group, columns in checked.items():
        target = names == group
        n_cells = int(target.sum())
        if n_cells < max(min_cells, fewest) or len(target) - n_cells < fewest:
            continue
        values = _arrays.dense_columns(X, columns)
        folds = StratifiedKFold(n_splits, shuffle=True, random_state=random_state)
        splits = list(folds.split(values, target))
        for size in sizes:
            for fold, (train, test) in enumerate(splits):
                tasks.append(delayed(_auroc)(model, values[:, :size], target, train, test))
                rows.append((group, size, fold, n_cells))
    if not tasks:
        msg = (
            f"No group with a panel has min_cells={min_cells} cells, and {fewest} cells and "
            f"{fewest} others for n_splits={n_splits} folds; lower min_cells or n_splits."
        )
        raise ValueError(msg)
    results = Parallel(n_jobs=n_jobs)(tasks)
    frame = pd.DataFrame(rows, columns=["group", "n_top", "fold", "n_cells"])
    frame[["auroc", "C", "gamma"]] = results
    return frame[["group", "n_top", "fold", "auroc", "C", "gamma", "n_cells"]]


def _check_protocol(
    protocol: str, C: float | Sequence[float] | None, n_iter: int, n_splits: int
) -> tuple[float, ...]:
    one_of(protocol, "protocol", ("fixed", "nested", "random"))
    whole(n_splits, "n_splits", 2)
    whole(n_iter, "n_iter")
    if C is None:
        return C_GRID if protocol == "nested" else (1.0,)
    grid = tuple(_arrays.numbers(np.atleast_1d(C), "C").ravel().tolist())
    if protocol == "random":
        msg = "protocol='random' draws C itself; leave C out, or give a grid to protocol='nested'."
        raise ValueError(msg)
    if protocol == "fixed" and len(grid) != 1:
        msg = "protocol='fixed' takes one C; a grid is for protocol='nested'."
        raise ValueError(msg)
    if not grid or not all(c > 0 for c in grid):
        msg = f"C must be positive, got {C!r}."
        raise ValueError(msg)
    return grid


def _model(
    protocol: str, grid: tuple[float, ...], n_iter: int, n_splits: int, seed: int
) -> BaseEstimator:
    """Classifier of a protocol, not fitted."""
    if protocol == "fixed":
        return make_pipeline(StandardScaler(), SVC(C=grid[0], class_weight="balanced"))
    svm = make_pipeline(StandardScaler(), SVC())
    inner = StratifiedKFold(n_splits, shuffle=True, random_state=seed)
    if protocol == "nested":
        return GridSearchCV(svm, {"svc__C": grid}, scoring="roc_auc", cv=inner)
    return RandomizedSearchCV(
        svm, DRAWN, n_iter=n_iter, scoring="roc_auc", cv=inner, random_state=seed
    )


def _auroc(
    model: BaseEstimator,
    values: NDArray[np.float64],
    target: NDArray[np.bool_],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
) -> tuple[float, float, float]:
    """AUROC on the test cells, and the C and gamma used."""
    fitted = clone(model).fit(values[train], target[train])
    svm = getattr(fitted, "best_estimator_", fitted)["svc"]
    score = fitted.decision_function(values[test])
    gamma = np.nan if svm.gamma == "scale" else float(svm.gamma)
    return float(roc_auc_score(target[test], score)), float(svm.C), gamma
