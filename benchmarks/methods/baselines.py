"""Rankings of genes that the papers and users compare with: one gene at a time, or by classifier.

Each takes cells (log-normalised ``X``, groups in ``obs["group"]``; counts in ``layers["counts"]``
where it says so) and a seed, and gives the column numbers of all genes, best first, group by
group. Where a method leaves genes unordered, they follow by :func:`univariate`, never by column.
"""

from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.preprocessing import StandardScaler

import ace
from benchmarks.core.data import GROUP, log_normalise

Panels = dict[str, np.ndarray]

#: Strengths of the L1 penalty: multiples of the C below which every coefficient is 0.
L1_PATH = np.geomspace(1.5, 100, 8)
L1_FOLDS = 3
#: Pseudo-replicates that DESeq2 gets of a group, and of the rest, and the counts that a gene needs
#: (its vignette's advice).
N_REPLICATES = 5
MIN_COUNTS = 10


def groups_of(adata: ad.AnnData) -> Iterator[tuple[str, np.ndarray]]:
    """Give each group's name, and which cells are in it."""
    groups = adata.obs[GROUP].astype("category")
    for code, name in enumerate(groups.cat.categories):
        yield str(name), groups.cat.codes.to_numpy() == code


def to_panels(adata: ad.AnnData, names: Any) -> Panels:
    """The column numbers of ranked names."""
    frame = pd.DataFrame(names)
    return {str(group): adata.var_names.get_indexer(frame[group].astype(str)) for group in frame}


def dense(X: Any) -> np.ndarray:
    """Values as an array in double precision."""
    return np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)


def not_negative(X: Any) -> Any:
    """Values as they are, or if some are negative (scaled), each gene's lowest taken to 0."""
    return X if X.min() >= 0 else X - dense(X).min(axis=0)


def log_expression(adata: ad.AnnData) -> Any:
    """Values as they are, or if some are negative (scaled), log1p(CP10k) of the counts."""
    if adata.X.min() >= 0 or "counts" not in adata.layers:
        return not_negative(adata.X)
    return log_normalise(ad.AnnData(adata.layers["counts"])).X


def univariate(X: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Absolute Welch t of each gene, a group against the rest."""
    own, rest = X[inside], X[~inside]
    error = own.var(axis=0) / len(own) + rest.var(axis=0) / len(rest)
    return np.abs(own.mean(axis=0) - rest.mean(axis=0)) / np.sqrt(np.maximum(error, 1e-12))


def ordered(*keys: np.ndarray) -> np.ndarray:
    """Columns by decreasing values: of the first key, of the second where that ties, ..."""
    return np.lexsort([-np.asarray(key, dtype=np.float64) for key in reversed(keys)])


def jsd_specificity(adata: ad.AnnData, seed: int) -> Panels:
    """Jensen-Shannon specificity, by :func:`ace.tl.rank_specificity`."""
    del seed
    own = ad.AnnData(log_expression(adata), obs=adata.obs[[GROUP]], var=adata.var[[]])
    ace.tl.rank_specificity(own, GROUP, key_added="ranking")
    return to_panels(adata, own.uns["ranking"]["names"])


def l1_logistic_regression(adata: ad.AnnData, seed: int) -> Panels:
    """L1-penalised logistic regression of each group against the rest on genes of variance 1."""
    X = dense(adata.X)
    # The intercept takes the means up, so that sparse values can stay sparse.
    scaled = StandardScaler(with_mean=False).fit_transform(adata.X.astype(np.float64))
    panels = {}
    for name, inside in groups_of(adata):
        # Up to 1 over the largest of these, the intercept alone is the best model.
        strengths = L1_PATH / np.abs(scaled.T @ (inside - inside.mean())).max()
        folds = StratifiedKFold(min(L1_FOLDS, inside.sum()), shuffle=True, random_state=seed)
        parts = list(folds.split(np.zeros(len(inside)), inside))
        losses: list[float] = []
        for C in strengths:
            model = _l1(C, seed)
            found = cross_val_score(model, scaled, inside, cv=parts, scoring="neg_log_loss")
            losses.append(-found.sum())
            best = int(np.argmin(losses))
            if len(losses) > best + 2:
                break
        # Of the path, only what says how genes follow that the chosen model leaves out.
        path = [np.abs(_l1(C, seed).fit(scaled, inside).coef_[0]) for C in strengths[best:]]
        panels[name] = ordered(*path, univariate(X, inside))
    return panels


def _l1(C: float, seed: int) -> LogisticRegression:
    # liblinear shrinks the intercept like a coefficient unless it is scaled up.
    solver = {"solver": "liblinear", "intercept_scaling": 100, "max_iter": 200, "tol": 1e-3}
    return LogisticRegression(C=C, l1_ratio=1, random_state=seed, **solver)


def deseq2(adata: ad.AnnData, seed: int) -> Panels:
    """DESeq2 (Love et al., 2014) of pseudo-bulks, group against rest, by |Wald statistic|."""
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats

    counts = sp.csr_matrix(adata.layers["counts"])
    tested = np.asarray(counts.sum(axis=0)).ravel() >= MIN_COUNTS
    X = dense(adata.X)
    rng = np.random.default_rng(seed)
    shared = {"quiet": True, "inference": DefaultInference(n_cpus=1)}
    panels = {}
    for name, inside in groups_of(adata):
        parts = _dealt(np.flatnonzero(inside), rng) + _dealt(np.flatnonzero(~inside), rng)
        bulk = np.vstack([np.asarray(counts[part].sum(axis=0)) for part in parts])
        replicates = [f"replicate{i}" for i in range(len(parts))]
        n_own = min(N_REPLICATES, inside.sum())
        condition = ["group"] * n_own + ["rest"] * (len(parts) - n_own)
        data = DeseqDataSet(
            counts=pd.DataFrame(bulk[:, tested].astype(int), replicates, adata.var_names[tested]),
            metadata=pd.DataFrame({"condition": condition}, replicates),
            design="~condition",
            size_factors_fit_type="poscounts",
            refit_cooks=False,
            **shared,
        )
        data.deseq2()
        unfiltered = {"cooks_filter": False, "independent_filter": False}
        test = DeseqStats(data, contrast=["condition", "group", "rest"], **unfiltered, **shared)
        test.run_wald_test()
        statistic = np.full(adata.n_vars, -1.0)
        statistic[tested] = np.nan_to_num(np.abs(test.statistics.to_numpy()), nan=-1.0)
        panels[name] = ordered(statistic, univariate(X, inside))
    return panels


def _dealt(cells: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    return np.array_split(rng.permutation(cells), min(N_REPLICATES, len(cells)))


def ns_forest(adata: ad.AnnData, seed: int) -> Panels:
    """NS-Forest 4 (Liu et al., 2024) of its authors: random forest, then a tree of few genes."""
    import nsforest

    del seed
    X = dense(not_negative(adata.X))
    own = ad.AnnData(X.astype(np.float32), obs=adata.obs[[GROUP]].astype(str), var=adata.var[[]])
    means = np.array([X[inside].mean(axis=0) for _, inside in groups_of(adata)])
    of_means = dict(zip([n for n, _ in groups_of(adata)], _binary_scores(means), strict=True))
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        own = nsforest.pp.prep_medians(own, GROUP)
        own = nsforest.pp.prep_binary_scores(own, GROUP)
        # It makes the folder for its files, of which it writes none here.
        found = nsforest.nsforesting.NSForest(own, GROUP, n_jobs=1, output_folder=".")
    found = found.set_index("clusterName")
    of_medians = own.varm[f"binary_scores_{GROUP}"].reindex(adata.var_names).fillna(0.0)
    panels = {}
    for name, inside in groups_of(adata):
        rest = ordered(of_medians[name].to_numpy(), of_means[name], univariate(X, inside))
        short: list[str] = []
        if name in found.index:
            short = [*found.loc[name, "NSForest_markers"], *found.loc[name, "binary_genes"]]
        first = adata.var_names.get_indexer(list(dict.fromkeys(short)))
        panels[name] = np.concatenate([first, rest[~np.isin(rest, first)]])
    return panels


def _binary_scores(values: np.ndarray) -> np.ndarray:
    """Mean over the other groups of how far they are below a group, 0 to 1; groups × genes."""
    scores = np.zeros_like(values)
    for group, own in enumerate(values):
        below = 1 - values / np.where(own > 0, own, np.inf)
        scores[group] = np.where(own > 0, np.maximum(below, 0).sum(axis=0), 0)
    return scores / max(len(values) - 1, 1)
