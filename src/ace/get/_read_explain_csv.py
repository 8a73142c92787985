from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from os import PathLike

_DTYPES = {
    "group": str,
    "rank": "int64",
    "gene": str,
    "symbol": str,
    "score": "float32",
    "enriched": "bool",
    "logfoldchange": "float32",
    "pct_in": "float32",
    "pct_out": "float32",
}


def read_explain_csv(path: str | PathLike[str]) -> pd.DataFrame:
    """Read back the table of :func:`ace.get.explain_df`, every value and type as it was.

    The table is meant to be written with ``df.to_csv(path, index=False)``. A bare
    :func:`pandas.read_csv` reads the same numbers but guesses the rest: it makes integers of
    clusters called ``"0"``, ``"1"``, missing values of a gene or a group called ``"NA"``, and
    doubles of the scores. What is passed here is ``dtype`` as the columns are documented, and that
    only empty fields of numbers are missing values.

    Parameters
    ----------
    path
        The file; compressed ones are told by their ending.

    Returns
    -------
    The frame that was written, index and order of the groups included.

    Raises
    ------
    ValueError
        If the file does not have the columns of :func:`ace.get.explain_df`.

    Examples
    --------
    >>> import ace, pandas as pd, tempfile
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> df = ace.get.explain_df(adata)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     df.to_csv(f"{folder}/panels.csv", index=False)
    ...     again = ace.get.read_explain_csv(f"{folder}/panels.csv")
    >>> pd.testing.assert_frame_equal(again, df)
    """
    header = list(pd.read_csv(path, nrows=0).columns)
    missing = [c for c in _DTYPES if c not in header and c != "symbol"]
    if missing:
        raise ValueError(
            f"{path} has no column {missing}: it is not a table of ace.get.explain_df(adata) as "
            "df.to_csv(path, index=False) writes it."
        )
    df = pd.read_csv(
        path,
        usecols=[c for c in header if c in _DTYPES],
        dtype={c: t for c, t in _DTYPES.items() if c in header},
        keep_default_na=False,
        na_values={c: [""] for c, t in _DTYPES.items() if str(t).startswith("float")},
    )
    # Every group has rows, so the order of appearance is the order of the categories.
    df["group"] = pd.Categorical(df["group"], categories=list(pd.unique(df["group"])))
    return df
