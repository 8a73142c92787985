"""Supported values are unchanged by encoding and decoding; others raise an error."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import sparse

from ace.model.saving._document import MissingFunction, Unsavable, decode, encode
from ace.model.scare._ground_truth import GroundTruth


def round_trip(value: Any) -> Any:
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(encode(value, "value", arrays), allow_nan=False)
    return decode(json.loads(text), arrays)


def same(one: Any, other: Any) -> bool:
    """Whether two values, and all values that they contain, are equal and of the same type."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict):
        keys = zip(one, other, strict=True)
        return all(same(*k) for k in keys) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype == object:
            return same(one.ravel().tolist(), other.ravel().tolist())
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fmM"))
    return bool(one == other)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.builds(np.float32, st.floats(width=32, allow_nan=False))
    | st.builds(np.int64, st.integers(-(2**63), 2**63 - 1))
    | st.builds(np.bool_, st.booleans())
    | st.builds(np.str_, st.text())
)
KEYS = st.text() | st.integers() | st.booleans() | st.none() | st.just("$type")
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
@example(np.str_("a\0"))
def test_nested_values(value: Any) -> None:
    assert same(round_trip(value), value)


@settings(max_examples=60, deadline=None)
@given(
    # NumPy strings in object arrays become Python strings.
    st.lists(SCALARS.filter(lambda value: type(value) is not np.str_), max_size=6),
    st.sampled_from([(-1,), (1, -1), (-1, 1)]),
)
def test_object_arrays(items: list[Any], shape: tuple[int, ...]) -> None:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    array = array.reshape(shape)
    assert same(round_trip(array), array)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3).T,
        np.arange(10.0)[::-2],
        np.asfortranarray(np.ones((2, 3), np.float32)),
        np.array(3.5),
        np.zeros((0, 4), np.int8),
        np.array([True, False]),
        np.arange(3, dtype=">i4"),
        np.array([1, 2], np.uint16),
        np.array([1.5, np.nan, -np.inf], np.float16),
        np.array(["a", "ünï"]),
        np.array(["2020-01-01", "NaT"], dtype="datetime64[ns]"),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_arrays(array: np.ndarray) -> None:
    back = round_trip(array)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(
            {"loss": np.array([1.5, math.nan], dtype=object)}, index=pd.Index([0, 1], name="epoch")
        ),
        pd.DataFrame({"a": [1, 2], "b": pd.Categorical(["x", None], categories=["y", "x"])}),
        pd.DataFrame(
            {
                "string": pd.array(["a", None], dtype="string"),
                "bool": pd.array([True, None], dtype="boolean"),
                "int": pd.array([1, None], dtype="Int32"),
                "time": pd.to_datetime(["2020-01-01", None]),
            }
        ),
        pd.DataFrame(np.eye(2), columns=[1, 1]),
        pd.DataFrame(index=pd.RangeIndex(1, 5, 2, name="i")),
    ],
)
def test_frames(frame: pd.DataFrame) -> None:
    back = round_trip(frame)
    pd.testing.assert_frame_equal(back, frame, check_freq=False)
    assert type(back.index) is type(frame.index)


@pytest.mark.parametrize("fmt", ["csr", "csc", "coo"])
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_sparse(fmt: str, kind: str) -> None:
    matrix = getattr(sparse, f"{fmt}_{kind}")(np.array([[0, 1.5], [0, 0], [2, 0]]))
    back = round_trip(matrix)
    assert type(back) is type(matrix)
    np.testing.assert_array_equal(back.toarray(), matrix.toarray())


def test_ground_truths() -> None:
    truth = GroundTruth({1: ["a"], 2.5: [], "x": ["b"]}, name="types", weight=2.0, loss="mse")
    assert round_trip(truth) == truth
    by_cell = GroundTruth(sparse.csr_matrix(np.eye(3)))
    assert (round_trip([by_cell])[0].genes != by_cell.genes).nnz == 0


def test_other_types() -> None:
    for value in (slice(1, None, 2), range(3), {1, 2}, frozenset("a"), pd.NA, pd.NaT,
                  pd.Timestamp("2020-01-01", tz="UTC"), pd.Timedelta("1h"),
                  pd.Interval(0.5, 2, closed="left"), torch.nn.Tanh):  # fmt: skip
        back = round_trip(value)
        assert back is value or back == value
    torch.testing.assert_close(round_trip(torch.eye(2)), torch.eye(2))
    assert same(round_trip(defaultdict(dict, a=OrderedDict(b=1))), {"a": {"b": 1}})


def test_keys_with_dots_do_not_collide() -> None:
    value = {"a.b": np.arange(2), "a": {"b": np.arange(3)}}
    assert same(round_trip(value), value)


class Anything:
    pass


@pytest.mark.parametrize(
    "value",
    [
        Anything(),
        Anything,
        len,
        lambda: 0,
        1j,
        b"x",
        np.array([1j]),
        np.zeros(2, "i4,f4"),
        object(),
    ],
)
def test_unsupported_values_are_an_error_with_their_location(value: Any) -> None:
    with pytest.raises(Unsavable, match=r"parts\.x\[1\] cannot be saved: it is of type"):
        encode({"x": [0, value]}, "parts", {})


def test_only_the_target_may_be_a_function() -> None:
    back = decode(encode(len, "init_params_.non_kwargs.target", {}), {})
    assert isinstance(back, MissingFunction)
    with pytest.raises(RuntimeError, match="target=len"):
        back(torch.zeros(1))
    with pytest.raises(Unsavable):
        encode(len, "init_params_.kwargs.vae_kwargs.activation", {})


@pytest.mark.parametrize(
    "document",
    [
        {"$type": "os.system", "value": "true"},
        {"$type": "torch.nn", "name": "functional"},
        {"$type": "record", "name": "Path", "fields": {}},
        {"$type": "sparse", "format": "csr", "matrix": True, "shape": [1, 1],
         "data": {"$type": "array", "name": "x"}, "indices": {"$type": "array", "name": "i"},
         "indptr": {"$type": "array", "name": "i"}},
    ],
)  # fmt: skip
def test_invalid_documents_are_an_error(document: dict[str, Any]) -> None:
    arrays = {"x": np.ones(1), "i": np.array([9, 9])}
    with pytest.raises((ValueError, KeyError)):
        decode(document, arrays)
