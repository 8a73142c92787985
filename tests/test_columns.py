"""Columns of any pandas type as plain labels and flags, and short lists in messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ace._checks._columns import codes_of, column_of, flags_of, labels_of
from ace._listed import listed

TEXT = st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=1, max_size=12)
NUMBERS = st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=12)
BOOLEANS = st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=12)
COLUMNS = st.one_of(
    st.tuples(
        TEXT, st.sampled_from([object, "category", "string", pd.StringDtype(na_value=np.nan)])
    ),
    st.tuples(NUMBERS, st.sampled_from([object, "category", "Int64", "Int8", "float"])),
    st.tuples(BOOLEANS, st.sampled_from([object, "category", "boolean"])),
)


@settings(max_examples=150, deadline=None)
@given(column=COLUMNS, nested=st.booleans(), known=st.data())
def test_labels_and_codes(column: tuple[list[Any], Any], nested: bool, known: Any) -> None:
    values, dtype = column
    series = pd.Series(values, dtype=object).astype(dtype)
    series = series.astype("category") if nested else series
    labels = labels_of(series, "x")
    found = [None if code < 0 else labels.categories[code] for code in labels.codes]
    assert found == values
    assert not isinstance(labels.categories.dtype, pd.BooleanDtype | pd.Int64Dtype)
    present = list(dict.fromkeys(v for v in values if v is not None))
    categories = known.draw(st.permutations(present))[:3]
    expected = [categories.index(v) if v in categories else -1 for v in values]
    assert list(codes_of(series, categories, "x")) == expected
    if all(value in (True, False) for value in present):
        flags = flags_of(series, "x")
        assert flags.dtype == bool
        assert list(flags) == [bool(v) for v in values]
    else:
        with pytest.raises(ValueError, match="must be Boolean"):
            flags_of(series, "x")


def test_labels_keep_the_order_of_categories() -> None:
    values = pd.Categorical(["b", "a"], categories=["b", "a", "unused"], ordered=True)
    labels = labels_of(pd.Series(values), "x")
    assert list(labels.categories) == ["b", "a", "unused"]
    assert labels.ordered


def test_other_values_are_labels_or_refused() -> None:
    assert list(labels_of(pd.Series(pd.arrays.SparseArray([0, 2, 0])), "x")) == [0, 2, 0]
    assert list(labels_of(pd.Series([("a", 1), ("b", 2)]), "x")) == [("a", 1), ("b", 2)]
    assert list(labels_of(pd.Series(["a", 1, None]), "x").codes)[2] == -1
    for values in ([["a"], ["b"]], [{"a": 1}], [{1}, "b"]):
        with pytest.raises(
            ValueError, match=r"adata\.obs\['x'\] holds values that cannot be labels"
        ):
            labels_of(pd.Series(values), "adata.obs['x']")


def test_one_column_is_needed() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "a", "cell_type"])
    assert list(column_of(frame, "cell_type")) == [3]
    with pytest.raises(ValueError, match=r"2 columns named 'a'"):
        column_of(frame, "a")
    with pytest.raises(KeyError, match=r"\['a', 'a', 'cell_type'\]\. Did you mean 'cell_type'"):
        column_of(frame, "celltype")
    for key in (["a"], None, 1.5, {"a"}):
        with pytest.raises(TypeError, match="name one column"):
            column_of(frame, key)


@given(names=st.lists(st.text(), max_size=40), most=st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_lists_are_short(names: list[str], most: int) -> None:
    text = listed(names, most)
    assert len(text) <= 70 * most + 40
    if len(names) <= most and all(len(repr(name)) <= 60 for name in names):
        assert text == str(names)
    if len(names) > most:
        assert text.endswith(f"...] and {len(names) - most} more")


def test_lists_show_plain_values() -> None:
    assert listed(np.array(["a", "b"])) == "['a', 'b']"
    assert listed(np.arange(2)) == "[0, 1]"
    assert listed([]) == "[]"
    assert listed(["x" * 100]) == "['" + "x" * 55 + "...']"
