from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import ace
from ace._keys import DIAGNOSTICS

if TYPE_CHECKING:
    from anndata import AnnData


def test_one_row_per_group(explained: AnnData) -> None:
    df = ace.get.diagnostics_df(explained)
    assert list(df.columns) == ["group", *DIAGNOSTICS]
    assert list(df["group"].cat.categories) == ["T/NK cells", "naïve γδ T", "0"]
    assert list(df["group"]) == ["T/NK cells", "naïve γδ T", "0"]
    assert list(df["fidelity"]) == [0.95, 0.8, 1.0]
    assert list(df["n_cells"]) == [30, 20, 10]
    assert df["flip_rate"].isna().all()


def test_groups_are_in_the_given_order(explained: AnnData) -> None:
    df = ace.get.diagnostics_df(explained, ["0", "T/NK cells"])
    assert list(df["group"]) == ["0", "T/NK cells"]
    assert list(df["n_cells"]) == [10, 30]
    assert list(df.index) == [0, 1]


def test_returns_a_copy(explained: AnnData) -> None:
    df = ace.get.diagnostics_df(explained)
    df["fidelity"] = np.nan
    assert explained.uns["ace"]["diagnostics"]["fidelity"].notna().all()


def test_errors_explain_the_fix(explained: AnnData) -> None:
    with pytest.raises(KeyError, match=r"no groups \['B'\] in "):
        ace.get.diagnostics_df(explained, "B")
    with pytest.raises(KeyError, match=r"no explanation in adata\.uns\['x'\]"):
        ace.get.diagnostics_df(explained, key="x")
