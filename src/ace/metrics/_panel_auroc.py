"""Discrimination of groups by a classifier that uses the genes of a panel."""

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
from ace._checks._arguments import number, one_of, seed, whole
from ace._docs import doc_params
from ace.metrics import _texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator

    from ace._checks._arrays import Matrix
    from ace._checks._panels import Panels

#: Grid of the ACE paper.
C_GRID = tuple(5.0**e for e in range(-5, 6))
#: Distributions of the KRATOS paper.
DRAWN = {"svc__C": expon(scale=100), "svc__gamma": expon(scale=0.1)}


@doc_params(
    X=_texts.X,
    labels=_texts.LABELS,
    panels=_texts.SCORED_PANELS,
    n_top=_texts.N_TOP,
    n_jobs=_texts.N_JOBS,
)
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
    r"""Area under the ROC curve of a classifier that uses only the top genes of a panel.

    For each group and number of genes, a support vector machine with a radial basis function (RBF)
    kernel separates the cells of the group from all others, in stratified cross-validation. Genes
    are z-scored on the training cells of each fold, and the kernel width is scikit-learn's
    ``gamma="scale"`` unless it is searched.

    ``protocol="fixed"`` uses one :math:`C` and balanced class weights, and is about 30 times
    faster than the others. ``protocol="nested"``, the protocol of the ACE paper (§5.2), chooses
    :math:`C` in each fold by an inner cross-validation that maximises the AUROC.
    ``protocol="random"``, the protocol of the KRATOS paper (§6.2), does so for pairs of :math:`C`
    and :math:`\gamma` that are drawn from exponential distributions with means 100 and 0.1 (the
    paper's :math:`\sigma` is taken as scikit-learn's :math:`\gamma`, the factor of the squared
    distance).

    To evaluate a *method*, choose the panels on other cells than these.

    Parameters
    ----------
    {X}
    {labels}
    {panels}
    {n_top}
    protocol
        ``"fixed"``, ``"nested"`` (grid search) or ``"random"`` (random search).
    C
        Regularisation parameter for ``"fixed"`` (default 1), or the grid for ``"nested"`` (default
        :math:`5^{-5}, 5^{-4}, …, 5^5`).
    n_iter
        Number of pairs to draw for ``"random"``. The paper does not report it; 10 is the default
        of scikit-learn.
    n_splits
        Number of folds, also of the inner cross-validation.
    min_cells
        Minimum number of cells of a group; smaller groups are left out, as in the papers.
    {n_jobs}
    random_state
        Seed of the splits and of the draws of ``"random"``. Each group is split once, and all
        numbers of genes use the same folds and draws.

    Returns
    -------
    aurocs
        One row for each group, number of genes and fold: ``group``, ``n_top``, ``fold``,
        ``auroc``, ``C`` (used), ``gamma`` (used; NaN for ``"scale"``) and ``n_cells`` (of the
        group). The papers plot ``aurocs.groupby("n_top")["auroc"].agg(["mean", "sem"])``, as
        :func:`ace.pl.panel_curves` does.

    Raises
    ------
    TypeError
        If ``X`` is an AnnData, or ``panels`` is not a mapping.
    ValueError
        If an argument is out of range, a panel has fewer than ``n_top`` genes or invalid columns,
        a group with a panel has no cells, all groups are too small, or values are not finite or
        exceed 1e15.

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

    # A search splits the training cells of each fold again.
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
        raise ValueError(
            f"no group with a panel is large enough: groups need min_cells={min_cells} cells, and "
            f"at least {fewest} cells and {fewest} others for n_splits={n_splits} folds. "
            "Lower min_cells or n_splits."
        )
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
        raise ValueError(
            "protocol='random' draws C; leave C out, or pass a grid to protocol='nested'."
        )
    if not grid or (protocol == "fixed" and len(grid) > 1):
        raise ValueError(
            "C must be one number for protocol='fixed', or at least one for protocol='nested', "
            f"got {C!r:.60}."
        )
    for c in grid:
        number(c, "C", 0, above=True)
    return grid


def _model(
    protocol: str, grid: tuple[float, ...], n_iter: int, n_splits: int, seed: int
) -> BaseEstimator:
    """Unfitted classifier of a protocol."""
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
