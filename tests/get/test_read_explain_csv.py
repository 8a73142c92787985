from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ace

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData


@pytest.mark.parametrize("gene_symbols", [None, "symbol"])
def test_round_trip(explained: AnnData, tmp_path: Path, gene_symbols: str | None) -> None:
    df = ace.get.explain_df(explained, gene_symbols=gene_symbols)
    df.to_csv(tmp_path / "panels.csv.gz", index=False)
    again = ace.get.read_explain_csv(tmp_path / "panels.csv.gz")
    pd.testing.assert_frame_equal(again, df, check_exact=True)


name = st.text(st.characters(exclude_categories=["C", "Z"], codec="utf-8"), min_size=1)
single = st.floats(width=32, allow_nan=False)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=st.lists(
        name | st.sampled_from(["NA", "0", "nan", "1e5", "True", "a,b", 'a"b', "T / NK", "None"]),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    values=st.lists(
        st.tuples(
            name | st.sampled_from(["NA", "MARCH1", "null"]),
            single,
            single | st.just(np.nan),
            st.floats(0, 1, width=32) | st.just(np.nan),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_names_and_numbers_are_unchanged(tmp_path: Path, groups: list[str], values: list) -> None:
    genes, scores, changes, fractions = zip(*(values * len(groups)), strict=True)
    df = pd.DataFrame(
        {
            "group": pd.Categorical(np.repeat(groups, len(values)), categories=groups),
            "rank": np.tile(np.arange(1, len(values) + 1), len(groups)),
            "gene": np.array(genes, dtype=object),
            "score": np.array(scores, dtype=np.float32),
            "enriched": np.array(scores) > 0,
            "mixed": np.array(scores) < 0,
            "against": np.where(np.array(scores) > 1, np.array(genes, dtype=object), np.nan),
            "logfoldchange": np.array(changes, dtype=np.float32),
            "pct_in": np.array(fractions, dtype=np.float32),
            "pct_out": np.array(fractions[::-1], dtype=np.float32),
        }
    )
    df.to_csv(tmp_path / "any.csv", index=False)
    again = ace.get.read_explain_csv(tmp_path / "any.csv")
    pd.testing.assert_frame_equal(again, df, check_exact=True)


def test_other_tables_raise(tmp_path: Path) -> None:
    pd.DataFrame({"group": ["0"], "gene": ["g"]}).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(ValueError, match=r"no column \['rank', 'score'.*explain_df\(adata\)"):
        ace.get.read_explain_csv(tmp_path / "other.csv")
