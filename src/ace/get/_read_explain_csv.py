from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ace._checks._figures import has_columns

if TYPE_CHECKING:
    from os import PathLike

#: Type of each column.
_DTYPES = {
    "group": str,
    "rank": "int64",
    "gene": str,
    "symbol": str,
    "score": "float32",
    "in_panel": "boolean",
    "enriched": "bool",
    "mixed": "boolean",
    "against": str,
    "logfoldchange": "float32",
    "pct_in": "float32",
    "pct_out": "float32",
}
#: Columns that a file may lack.
_OPTIONAL = {"symbol", "in_panel", "mixed", "against"}
#: Columns in which an empty field is a missing value, not an empty name.
_NULLABLE = {"in_panel", "mixed", "against", "logfoldchange", "score", "pct_in", "pct_out"}


def read_explain_csv(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a CSV file of :func:`ace.get.explain_df` without loss of types.

    The file should have been written with ``df.to_csv(path, index=False)``. Unlike
    :func:`pandas.read_csv` with default arguments, this keeps groups called ``"0"`` or ``"NA"`` as
    strings, and scores in single precision.

    Parameters
    ----------
    path
        The file; compression is inferred from the suffix.

    Returns
    -------
    The frame that was written, with the same types, order of groups and index.

    Raises
    ------
    ValueError
        If the file lacks columns of :func:`ace.get.explain_df`.

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
    has_columns(
        header,
        [column for column in _DTYPES if column not in _OPTIONAL],
        str(path),
        "Write it with ace.get.explain_df(adata).to_csv(path, index=False).",
    )
    df = pd.read_csv(
        path,
        usecols=[c for c in header if c in _DTYPES],
        dtype={c: t for c, t in _DTYPES.items() if c in header},
        keep_default_na=False,
        na_values={column: [""] for column in _NULLABLE},
    )
    if "mixed" in df and df["mixed"].notna().all():
        df["mixed"] = df["mixed"].astype(bool)
    if "against" in df and df["against"].isna().all():
        df["against"] = df["against"].astype(object)  # pandas 3 infers no text without values
    # Every group has rows, in the order of the categories.
    df["group"] = pd.Categorical(df["group"], categories=list(pd.unique(df["group"])))
    return df
