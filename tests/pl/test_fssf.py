from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ace
from ace._keys import FssfKeys
from ace.pl._colors import DEPLETED, ENRICHED

if TYPE_CHECKING:
    from anndata import AnnData

GROUPS = ["T/NK", "naïve B, of $5 or $6", "never scored", "Mono"]


@pytest.fixture
def scored(pbmc: AnnData) -> AnnData:
    """Two results with known scores, with and without random sets."""
    rng = np.random.default_rng(0)
    for key, shift in (("plain", -0.9), ("fssf", 0.6)):
        group = pd.Categorical(np.repeat([GROUPS[0], GROUPS[1], GROUPS[3]], [6, 3, 1]), GROUPS)
        random = np.full(10, -0.95) + rng.uniform(0, 0.05, 10)
        pairs = pd.DataFrame({"group": group, "fssf": shift + rng.uniform(-0.1, 0.1, 10)})
        pairs["random_mean"] = random if key == "fssf" else np.nan
        FssfKeys(key).write(
            pbmc,
            subcluster=pd.Categorical([None] * pbmc.n_obs),
            embedding=np.zeros((pbmc.n_obs, 2)),
            about={"params": {}, "pairs": pairs, "genes": pd.DataFrame({"gene": ["CST3"]})},
        )
    return pbmc


def heights(ax: plt.Axes) -> list[list[float]]:
    return [sorted(np.asarray(c.get_offsets())[:, 1]) for c in scatters(ax)]


def scatters(ax: plt.Axes) -> list:
    return [c for c in ax.collections if len(c.get_offsets()) and hasattr(c, "get_sizes")]


def test_one_dot_per_pair(scored: AnnData) -> None:
    ax = ace.pl.fssf(scored, show=False)
    df = ace.get.fssf_df(scored)
    drawn = [g for g in GROUPS if g != "never scored"]
    expected = [
        sorted(df.loc[df["group"] == group, column])
        for group in drawn
        for column in ("fssf", "random_mean")
    ]
    for found, wanted in zip(heights(ax), expected, strict=True):
        np.testing.assert_allclose(found, wanted)
    assert [t.get_text().replace("\n", " ") for t in ax.get_xticklabels()] == drawn
    # Each column is above the name of its group, and columns do not overlap.
    at = np.array([np.asarray(c.get_offsets())[:, 0].mean() for c in scatters(ax)])
    ticks = ax.get_xticks()
    assert (np.abs(at[:, None] - ticks).argmin(1) == np.repeat([0, 1, 2], 2)).all()
    assert (np.diff(at) > 0.5).all()
    faces = [to_hex(c.get_facecolor()[0]).upper() for c in scatters(ax)]
    assert faces == [ENRICHED, "#FFFFFF"] * 3
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["genes", "random genes"]
    assert ax.get_ylim()[0] < -1
    assert ax.get_ylim()[1] > 1


def test_lines_are_medians(scored: AnnData) -> None:
    ax = ace.pl.fssf(scored, groups=["T/NK"], show=False)
    df = ace.get.fssf_df(scored)
    lines = [c.get_segments()[0][0][1] for c in ax.collections if hasattr(c, "get_segments")]
    own = df[df["group"] == "T/NK"]
    np.testing.assert_allclose(lines, [own["fssf"].median(), own["random_mean"].median()])


def test_several_keys(scored: AnnData) -> None:
    ax = ace.pl.fssf(scored, ["plain", "fssf"], labels=["without", "with"], show=False)
    # The first has no random sets: three columns for each of three groups.
    assert len(scatters(ax)) == 9
    colors = [to_hex(c.get_edgecolor()[0]).upper() for c in scatters(ax)[:3]]
    assert colors == [ENRICHED, DEPLETED, DEPLETED]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "without", "with", "genes", "random genes",
    ]  # fmt: skip
    ax = ace.pl.fssf(scored, ["plain", "fssf"], show=False)
    assert [t.get_text() for t in ax.get_legend().get_texts()][:2] == ["plain", "fssf"]


def test_groups_are_in_the_given_order(scored: AnnData) -> None:
    ax = ace.pl.fssf(scored, groups=["Mono", "T/NK"], show=False)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["Mono", "T/NK"]


@pytest.mark.parametrize("keys", ["fssf", ["plain", "fssf"]])
def test_nothing_is_clipped(scored: AnnData, keys: str | list[str]) -> None:
    fig = ace.pl.fssf(scored, keys, return_fig=True)
    fig.draw_without_rendering()
    (ax,) = fig.axes
    for artist in (ax, ax.get_legend()):
        box = artist.get_tightbbox()
        assert fig.bbox.x0 <= box.x0 < box.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= box.y0 < box.y1 <= fig.bbox.y1
    assert ax.get_window_extent().width / fig.dpi > 1


def test_given_axes_and_a_file(scored: AnnData, tmp_path) -> None:
    _, ax = plt.subplots()
    assert ace.pl.fssf(scored, ax=ax, show=False, save=tmp_path / "a.png") is ax
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_errors_explain_the_fix(scored: AnnData) -> None:
    with pytest.raises(KeyError, match=r"no subcluster founder scores.*'plain', 'fssf'"):
        ace.pl.fssf(scored, "other")
    with pytest.raises(KeyError, match=r"no groups \['never scored'\] in the scores"):
        ace.pl.fssf(scored, groups=["never scored"])
    with pytest.raises(ValueError, match="labels must have one value for each key, 2, got 1"):
        ace.pl.fssf(scored, ["plain", "fssf"], labels=["one"])
