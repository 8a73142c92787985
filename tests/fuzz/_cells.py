"""Draw AnnData objects with unusual values, formats, names and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

#: Names that a group, a gene, a column or a result may have.
ODD_NAMES = [
    "",
    "/",
    "a/b",
    "L2/3 IT",
    "Zelle Ä",
    "細胞",
    "x" * 300,
    " ",
    "nan",
    "rest",
    "each",
    "all",
]
ODD_NAMES += ["A vs B", "0", "index", "a\nb", "a'b", 'a"b', "{}", "%s", "\x00z", "Unknown"]

VALUES = {
    "log": 8,
    "counts": 4,
    "decimal": 1,
    "normalised": 1,
    "scaled": 2,
    "binary": 1,
    "zeros": 1,
    "constant": 1,
    "duplicated": 1,
    "nan": 1,
    "inf": 1,
    "huge": 1,
    "tiny": 1,
    "mixed": 1,
}
FORMATS = ["dense", "csr", "csc", "csr_array", "csc_array", "fortran", "dask", "dask_sparse"]
DTYPES_OF_LABELS = ["string", "object", "int", "Int64", "float", "bool", "boolean", "mixed"]
DTYPES_OF_LABELS += ["missing", "unused", "datetime", "lists", "numbers"]
DTYPES = ["float32"] * 6 + ["float64", "float16", "int64", "int32", "uint8", "bool"]
CONTAINERS = ["view", "gene_view", "backed", "backed", "backed_view"]


def pick(rng: np.random.Generator, options: Any) -> Any:
    """Draw one item of a list, or one key of a dictionary of weights."""
    if isinstance(options, dict):
        weights = np.array(list(options.values()), dtype=float)
        return list(options)[rng.choice(len(options), p=weights / weights.sum())]
    return options[int(rng.integers(len(options)))]


def standard_cells(seed: int = 0, n: int = 60, n_genes: int = 30) -> AnnData:
    """Valid cells of three types: log-normalised, with counts in a layer."""
    rng = np.random.default_rng(seed)
    types = np.arange(n) % 3
    means = np.full((3, n_genes), 1.0)
    for kind in range(3):
        means[kind, kind::3] = 6.0
    counts = rng.poisson(means[types]).astype(np.float32)
    total = np.maximum(counts.sum(1, keepdims=True), 1)
    adata = ad.AnnData(sparse.csr_matrix(np.log1p(counts / total * 1e4)))
    adata.layers["counts"] = sparse.csr_matrix(counts)
    adata.var_names = [f"g{i}" for i in range(n_genes)]
    adata.obs_names = [f"c{i}" for i in range(n)]
    adata.obs["ct"] = pd.Categorical(np.array(["A", "B", "C"])[types])
    adata.obs["batch"] = pd.Categorical(np.array(["one", "two"])[rng.integers(2, size=n)])
    adata.uns["log1p"] = {"base": None}
    return adata


def odd_cells(rng: np.random.Generator, folder: Path, *, counts: bool = False) -> AnnData:
    """Draw cells with few or many oddities; ``counts`` puts counts into ``X`` by default."""
    share = pick(rng, [0.03, 0.1, 0.1, 0.4])

    def odd() -> bool:
        return bool(rng.random() < share)

    n = int(pick(rng, [0, 1, 2, 3, 10])) if odd() else 60
    n_genes = int(pick(rng, [0, 1, 2, 3])) if odd() else 30
    values = pick(rng, VALUES) if odd() else "counts" if counts else "log"
    x = _values(rng, values, n, n_genes)
    adata = ad.AnnData(
        obs=pd.DataFrame(index=[f"c{i}" for i in range(n)]),
        var=pd.DataFrame(index=[f"g{i}" for i in range(n_genes)]),
    )
    with np.errstate(all="ignore"):
        adata.X = _formatted(rng, x, odd())
    adata.obs["ct"] = _labels(rng, n, odd=odd(), odd_names=odd())
    adata.obs["batch"] = pd.Categorical(np.array(["one", "two"])[rng.integers(2, size=n)])
    if rng.random() < 0.5:
        adata.layers["counts"] = sparse.csr_matrix(_values(rng, "counts", n, n_genes))
    if odd():
        _odd_columns(rng, adata)
    if odd():
        _odd_names(rng, adata)
    if odd():
        _odd_leftovers(rng, adata)
    return _contained(rng, adata, folder) if odd() else adata


def _values(rng: np.random.Generator, kind: str, n: int, n_genes: int) -> np.ndarray:
    """A matrix with one kind of values, for cells of three types."""
    means = np.full((3, n_genes), 1.0)
    for number in range(3):
        means[number, number::3] = 6.0
    counts = rng.poisson(means[np.arange(n) % 3]).astype(np.float64)
    normalised = counts / np.maximum(counts.sum(1, keepdims=True), 1) * 1e4
    logged = np.log1p(normalised)
    x = {
        "counts": counts,
        "decimal": np.where(counts > 0, counts - 0.3, 0),
        "normalised": normalised,
        "scaled": (logged - 2) / 2,
        "binary": (counts > 2).astype(float),
        "zeros": np.zeros_like(counts),
        "constant": np.full_like(counts, pick(rng, [1.0, 2.5, -3.0])),
        "duplicated": logged[np.zeros(n, dtype=int)] if n else logged,
        "huge": logged * pick(rng, [1e5, 1e14, 1e18, 1e30, 1e300]),
        "tiny": logged * pick(rng, [1e-5, 1e-12, 1e-30, 1e-42, 1e-310]),
        "mixed": np.where(np.arange(n)[:, None] < n // 2, logged, counts),
    }.get(kind, logged)
    if kind in ("nan", "inf") and x.size:
        x.flat[rng.integers(x.size)] = (
            pick(rng, [np.nan, np.inf, -np.inf]) if kind == "inf" else np.nan
        )
    return x


def _formatted(rng: np.random.Generator, x: np.ndarray, odd: bool) -> Any:
    dtype = pick(rng, DTYPES) if odd else "float32"
    if dtype != "float64" and not np.isfinite(x).all():
        dtype = "float32"
    x = x.astype(dtype)
    fmt = pick(rng, FORMATS if odd else FORMATS[:3])
    if x.dtype == np.float16 and fmt not in ("dense", "fortran"):
        x = x.astype(np.float32)  # SciPy does not support float16
    if fmt == "fortran":
        return np.asfortranarray(x)
    if fmt.startswith("dask"):
        import dask.array as da

        blocks = da.from_array(x, chunks=(max(1, x.shape[0] // 2), max(1, x.shape[1])))
        return blocks.map_blocks(sparse.csr_matrix) if fmt == "dask_sparse" and x.size else blocks
    return x if fmt == "dense" else getattr(sparse, fmt if "_" in fmt else f"{fmt}_matrix")(x)


def _labels(rng: np.random.Generator, n: int, *, odd: bool, odd_names: bool) -> Any:
    """Draw groups of the cells, of various dtypes and with various names."""
    codes = np.arange(n) % 3
    if odd and rng.random() < 0.3:
        codes = rng.integers(pick(rng, [1, 2, 20, 100]), size=n)
    names = np.array([f"T{i}" for i in range(100)], dtype=object)
    if odd_names:
        names[: len(ODD_NAMES)] = rng.permutation(np.array(ODD_NAMES, dtype=object))
    values = pd.Series(names[codes], dtype=object)
    match pick(rng, DTYPES_OF_LABELS) if odd else "category":
        case "category":
            column: Any = values.astype("category")
        case "string":
            column = values.astype("string")
        case "object":
            column = values
        case "int":
            column = pd.Series(codes)
        case "Int64":
            column = pd.Series(codes).astype("Int64")
            column[rng.random(n) < 0.2] = pd.NA
        case "float":
            column = pd.Series(codes.astype(float))
        case "bool":
            column = pd.Series(codes > 0)
        case "boolean":
            column = pd.Series(codes > 0).astype("boolean")
            column[rng.random(n) < 0.2] = pd.NA
        case "mixed":
            column = values.copy()
            column[rng.random(n) < 0.3] = 1
            column[rng.random(n) < 0.2] = None
        case "missing":
            column = values.mask(rng.random(n) < 0.2).astype("category")
        case "unused":
            column = pd.Series(pd.Categorical(values, categories=list(names[:40])))
        case "datetime":
            column = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(codes, unit="D"))
        case "lists":
            column = pd.Series([[code] for code in codes], dtype=object)
        case _:
            column = pd.Series(codes / 2).astype("category")
    return column.array


def _odd_columns(rng: np.random.Generator, adata: AnnData) -> None:
    n = adata.n_obs
    adata.obs["number"] = rng.random(n)
    adata.obs["flag"] = rng.random(n) < 0.5
    adata.obs["empty"] = None
    adata.obs["cluster"] = pd.Categorical(rng.integers(4, size=n).astype(str))
    marked = rng.random(adata.n_vars) < 0.5
    adata.var["highly_variable"] = pick(
        rng,
        [
            marked,
            np.zeros(adata.n_vars, dtype=bool),
            pd.array(marked, dtype="boolean"),
            np.where(marked, True, None),
            marked.astype(str),
            marked.astype(float),
            pd.array([pd.NA] * adata.n_vars, dtype="boolean"),
        ],
    )
    if rng.random() < 0.2:
        adata.obs = pd.concat([adata.obs, adata.obs[["batch"]]], axis=1)


def _odd_names(rng: np.random.Generator, adata: AnnData) -> None:
    match pick(rng, ["duplicates", "odd", "ints", "long", "missing", "cells", "upper"]):
        case "duplicates" if adata.n_vars > 1:
            adata.var_names = ["same", "same", *adata.var_names[2:]]
        case "odd":
            names = list(adata.var_names)
            odd = rng.permutation(np.array(ODD_NAMES, dtype=object))[: len(names)]
            adata.var_names = [*odd, *names[len(odd) :]]
        case "ints":
            adata.var_names = pd.Index(range(adata.n_vars)).astype(str)
        case "long":
            adata.var_names = [name * 50 for name in adata.var_names]
        case "missing" if adata.n_vars:
            adata.var.index = pd.Index([None, *adata.var_names[1:]], dtype=object)
        case "cells" if adata.n_obs:
            adata.obs_names = ["same"] * adata.n_obs
        case _:
            adata.var_names = adata.var_names.str.upper()


def _odd_leftovers(rng: np.random.Generator, adata: AnnData) -> None:
    """Add results of earlier analyses."""
    n, n_genes = adata.shape
    for left in rng.choice(["pca", "stale", "log1p", "colors", "uns", "nan_pca", "raw"], 2):
        match left:
            case "pca" | "stale" | "nan_pca":
                k = int(rng.integers(1, 6))
                adata.obsm["X_pca"] = rng.normal(size=(n, k)) * (
                    np.nan if left == "nan_pca" else 1
                )
                adata.varm["PCs"] = rng.normal(size=(n_genes, k if left == "pca" else k + 1))
            case "log1p":
                odd = [{"base": 2}, {}, None, {"base": "e"}, "yes", {"base": np.nan}, {"base": 0}]
                adata.uns["log1p"] = pick(rng, odd)
            case "colors":
                adata.uns["ct_colors"] = pick(rng, [["#ff0000"], np.array([[1, 0, 0]]), "red"])
            case "uns":
                adata.uns[pick(rng, ["ace", "scnym", "fssf"])] = pick(
                    rng, [1, {"params": {}}, "x"]
                )
            case "raw" if n and n_genes:
                adata.raw = adata


def _contained(rng: np.random.Generator, adata: AnnData, folder: Path) -> AnnData:
    path = folder / "cells.h5ad"
    try:
        match pick(rng, CONTAINERS):
            case "view":
                return adata[np.arange(adata.n_obs)]
            case "gene_view":
                return adata[:, np.arange(adata.n_vars)[::-1]]
            case kind:
                adata.write_h5ad(path)
                backed = ad.read_h5ad(path, backed="r")
                return backed if kind == "backed" else backed[: max(1, adata.n_obs // 2)]
    except Exception:  # noqa: BLE001 (anndata cannot store every oddity)
        return adata
