"""Draw calls of the metrics, some with invalid arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse
from tests.fuzz._cells import odd_cells, pick, standard_cells
from tests.fuzz._drawn import Drawn, require

import ace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _matrix(rng: np.random.Generator, folder: Path) -> Any:
    adata = odd_cells(rng, folder)
    return pick(
        rng,
        [
            adata.X,
            adata.X,
            adata.X,
            adata.X,
            adata,
            pd.DataFrame({"a": [1, 2]}),
            None,
            "x",
            [[1, 2], [3]],
            np.matrix("1 2; 3 4"),
            np.ma.masked_array([[1.0, 2.0]], [[True, False]]),
        ],
    )


def _names(rng: np.random.Generator, n: int) -> Any:
    good = np.array(["T0", "T1", "T2"], dtype=object)[np.arange(n) % 3]
    if rng.random() < 0.8:
        return pick(
            rng, [good, list(good), pd.Series(good), pd.Categorical(good), good.astype(str)]
        )
    return pick(
        rng,
        [
            None,
            "T0",
            3,
            [],
            good[:-1],
            np.full(n, None),
            np.arange(n),
            [[1], [2, 3]],
            {"T0": 1},
            np.array([["T0"] * n]),
            pd.Series(good).astype("string"),
            pd.Series(["a"] * n),
            [{}] * n,
            [pd.NA] * n,
        ],
    )


def _columns(rng: np.random.Generator) -> Any:
    good = {"T0": [0, 3, 6], "T1": [1, 4, 7], "T2": [2, 5, 8]}
    of_one = [["g0"], [0, 0, 1], [-1, 0, 1], [0.0, 1.0, 2.0], 3, [[0, 1], [2, 3]], [0, [1]], None]
    odd = [None, [], [0, 1, 2], {}, pd.DataFrame(good), {"T9": [0, 1, 2]}, "T0"]
    odd += [{1: [0, 1, 2], "1": [0, 1, 2]}, *({"T0": columns} for columns in of_one)]
    if rng.random() < 0.75:
        return pick(rng, [good, {k: np.array(v) for k, v in good.items()}, {"T0": range(3)}])
    return pick(rng, odd)


def _ranked(rng: np.random.Generator) -> Any:
    good = {"A": ["g1", "g2", "g3"], "B": ["g4", "g2"]}
    if rng.random() < 0.7:
        frame = pd.DataFrame({"A": ["g1", "g2", "g3"], "B": ["g4", "g2", np.nan]})
        return pick(rng, [good, frame, frame.to_records(index=False), {"A": (1, 2, 3), "B": [4]}])
    return pick(
        rng,
        [
            None,
            [],
            {},
            ["g1"],
            {"A": "g1"},
            {"A": [["g1"]]},
            {"A": ["g1", "g1"]},
            {"A": []},
            3,
            pd.DataFrame(),
            pd.DataFrame([["g", "h"]], columns=["A", "A"]),
            {"A": [None]},
            {1: ["a"], "1": ["b"]},
            {"A": {"g1"}},
            np.array(["g1"]),
        ],
    )


def _points(rng: np.random.Generator, n: int) -> Any:
    good = rng.normal(size=(n, 3))
    if rng.random() < 0.8:
        return pick(
            rng,
            [
                good,
                good.astype(np.float32),
                good.tolist(),
                pd.DataFrame(good),
                sparse.csr_matrix(good),
            ],
        )
    return pick(
        rng,
        [
            None,
            "z",
            good[:, 0],
            good * np.nan,
            good * 1e300,
            good[:0],
            good[:, :0],
            good.astype(str),
            [[1.0], [2.0, 3.0]],
            standard_cells(n=max(n, 1)),
            good * 1e-300,
            np.zeros_like(good),
            good > 0,
            good.astype(object),
            np.ma.masked_less(good, 0),
        ],
    )


def _matrix_metric(rng: np.random.Generator, draw: Drawn, name: str, folder: Path) -> list[Any]:
    """Arguments of the metrics of a matrix and panels."""
    x = _matrix(rng, folder)
    length = x.shape[0] if getattr(x, "ndim", 0) == 2 else 60
    labels = _names(rng, length)
    args = {
        "panel_redundancy": [x, _columns(rng)],
        "causal_recovery": [_columns(rng), _names(rng, 30)],
    }.get(name, [x, labels, _columns(rng)])
    n_top = [2, 3, (2, 3), 0.1, 1.0, np.int64(2), [3], 0, -1, "2", True, None, 1.5, []]
    draw.given["n_top"] = pick(rng, [*n_top, 100, [[2]], [2, [3]]])
    if name == "panel_auroc":
        draw.count("min_cells", 1, 2, 10, default=0)
        draw.count("n_splits", 2, 3)
        draw.count("n_iter", 1, 2, default=0)
        draw.choice("protocol", "fixed", "fixed", "nested", "random")
        draw.choice("C", 1.0, [0.1, 1.0], 0.5, default=0.8)
        draw.seed()
    if name == "knn_jaccard":
        draw.count("n_neighbors", 1, 5, 30, default=0)
    return args


def _latent_metric(rng: np.random.Generator, draw: Drawn, name: str) -> list[Any]:
    """Arguments of the metrics of a latent space or of labels."""
    n = int(pick(rng, [0, 1, 2, 5, 30, 60, 60, 60]))
    if name == "clustering_agreement":
        args = [_names(rng, n), pick(rng, [_names(rng, n), {"x": _names(rng, n)}, {}])]
        if rng.random() < 0.6:
            args.append(_points(rng, n))
        draw.count("n_sampled", 2, 10)
        draw.seed()
        return args
    draw.count("n_neighbors", 1, 3, 15)
    if name == "morans_i":
        values = rng.random(n)
        odd = [np.ones(n), values * 1e300, values * 1e-200, ["a"] * n, None, values[:-1]]
        return [_points(rng, n), pick(rng, [values] * 3 + [*odd, values * np.nan])]
    m = int(pick(rng, [0, 1, 5]))
    return [_points(rng, n), _names(rng, n), _points(rng, m), _names(rng, m), _names(rng, m)]


def _pair_symmetry(rng: np.random.Generator, draw: Drawn) -> list[Any]:
    score = [0.9, -0.5, 0.0]
    odd = [score[:2], [np.nan, 1, 2], [1e300, 1, 1], ["a"] * 3, [0, 0, 0], None, [[1], []]]
    there, back = (pick(rng, [score, np.array(score)] * 4 + odd) for _ in range(2))
    pairs = {("A", "B"): there, ("B", "A"): back}
    args = [pick(rng, [pairs] * 5 + [{}, None, [score], {"A": score}])]
    if rng.random() < 0.4:
        ranks = [[0, 1, 2], [2, 1], [0, 0], ["g"], [9], None, [0.5], [[0], [1, 2]]]
        args.append({("A", "B"): pick(rng, ranks), ("B", "A"): pick(rng, ranks)})
    draw.count("n_top", 2, 1)
    return args


def _ranked_metric(rng: np.random.Generator, draw: Drawn, name: str) -> list[Any]:
    """Arguments of the metrics of rankings."""
    if name in ("rank_biased_overlap", "stability", "panel_overlap"):
        draw.rate("persistence", 0.5, 0.9)
    if name == "rank_biased_overlap":
        options = [["a", "b"], ["b"], [], "ab", None, 3, ["a", "a"], [["a"]], (1, 2), [None]]
        options += [np.array([1, 2]), {"a"}]
        return [pick(rng, options), pick(rng, options)]
    one, other = _ranked(rng), _ranked(rng)
    draw.count("n_top", 2, 1)
    if name == "stability":
        runs = [[one, other], {"x": one, "y": other}]
        return [pick(rng, runs * 3 + [[one], None, 3, "ab", one])]
    draw.choice("group", "A", "B", default=0.5)
    if name == "panel_overlap":
        draw.choice("measure", "jaccard", "rbo", "n_shared")
    return [pick(rng, [{"x": one, "y": other}] * 3 + [{"x": one}, one, None, {}])]


def metric(rng: np.random.Generator, folder: Path) -> tuple[Callable[[], Any], str]:
    """Draw a call of one of the metrics; return it with a description."""
    name = pick(rng, [m for m in ace.metrics.__all__ if m != "batch_mixing"])
    draw = Drawn(rng, oddness=0.1)
    match name:
        case "panel_auroc" | "knn_jaccard" | "panel_redundancy" | "causal_recovery":
            args = _matrix_metric(rng, draw, name, folder)
        case "clustering_agreement" | "fssf" | "morans_i":
            args = _latent_metric(rng, draw, name)
        case "pair_symmetry":
            args = _pair_symmetry(rng, draw)
        case _:
            args = _ranked_metric(rng, draw, name)
    function, given = getattr(ace.metrics, name), draw.given

    def call() -> None:
        found = function(*args, **given)
        bounded = {"rank_biased_overlap", "fssf"}
        if name in bounded and not np.isnan(found):
            require(-1 - 1e-6 <= found <= 1 + 1e-6, f"{found} is not between -1 and 1")

    return call, f"{name}(*{args!r:.300}, **{given!r:.200})"
