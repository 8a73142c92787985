from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ace
from ace.pl._colors import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes


def names(ax: Axes) -> tuple[list[str], list[str]]:
    rows, columns = ax.get_yticklabels(), ax.get_xticklabels()
    return tuple([text.get_text().replace("\n", " ") for text in side] for side in (rows, columns))


def table(ax: Axes, values: np.ndarray) -> pd.DataFrame:
    rows, columns = names(ax)
    (dots,) = ax.collections[:1]
    at = np.asarray(dots.get_offsets()).astype(int)
    frame = pd.DataFrame(0.0, index=rows, columns=columns)
    for (column, row), value in zip(at, values, strict=True):
        frame.iloc[row, column] = value
    return frame


def dots(ax: Axes) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Relative area and colour of each dot."""
    (drawn,) = ax.collections[:1]
    (legend,) = next(a for a in ax.child_axes if a.get_label() == "sizes").collections
    return table(ax, drawn.get_sizes() / legend.get_sizes().max()), table(ax, drawn.get_array())


@pytest.mark.parametrize("n_labels", [2, 30])
def test_dots_match_the_predictions(annotated: Callable[..., AnnData], n_labels: int) -> None:
    adata = annotated(n_labels)
    ax = ace.pl.confusion(adata, "truth", show=False)
    obs = adata.obs
    types = [str(c) for c in obs["truth"].cat.categories]
    rows, columns = names(ax)
    assert rows == columns == types  # so the matrix is diagonal
    area, color = dots(ax)
    wanted = pd.crosstab(obs["truth"], obs["scnym"], normalize="index")
    np.testing.assert_allclose(area, wanted, atol=1e-6)
    mean = obs.pivot_table("scnym_confidence", "truth", "scnym", aggfunc="mean", observed=False)
    np.testing.assert_allclose(color, mean.fillna(0), atol=1e-6)
    assert ax.yaxis_inverted()


def test_low_confidence_is_vermillion() -> None:
    assert [to_hex(CONFIDENCE(x)) for x in (0.0, 1.0)] == ["#d55e00", "#0072b2"]


def test_other_groups_are_placed_by_their_most_frequent_label(
    annotated: Callable[..., AnnData],
) -> None:
    adata = annotated(3)
    back = {"T/NK": "z", adata.obs["truth"].cat.categories[2]: "a"}
    adata.obs["cluster"] = adata.obs["truth"].cat.rename_categories(back).astype(str)
    adata.obs.loc[adata.obs_names[:30], "cluster"] = np.nan  # not drawn
    rows, _ = names(ace.pl.confusion(adata, "cluster", show=False))
    assert rows == ["z", adata.obs["truth"].cat.categories[1], "a"]


def test_categorical_numbers_are_groups(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(2)
    adata.obs["resolution"] = pd.Categorical(np.where(adata.obs["truth"] == "T/NK", 0.5, 1.5))
    rows, _ = names(ace.pl.confusion(adata, "resolution", show=False))
    assert rows == ["0.5", "1.5"]


def test_groups_are_in_the_given_order(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(6)
    ax = ace.pl.confusion(adata, "truth", groups=["cluster 5", "T/NK"], show=False)
    rows, columns = names(ax)
    assert rows == ["cluster 5", "T/NK"]
    first, second = (str(c) for c in adata.obs["truth"].cat.categories[:2])
    assert columns == [first, second, "cluster 5"]  # labels without drawn cells are left out


def test_novel_cells_in_a_separate_column(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(2)
    ax = ace.pl.confusion(adata, "truth", novel=True, show=False)
    assert names(ax)[1][-1] == "novel"
    area, color = dots(ax)
    share = adata.obs.groupby("truth", observed=True)["scnym_novel"].mean()
    np.testing.assert_allclose(area["novel"], share, atol=1e-6)
    assert (color["novel"] < 0.35).all()
    np.testing.assert_allclose(area.sum(axis=1), 1)


def test_counts(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(2)
    ax = ace.pl.confusion(adata, "truth", counts=True, show=False)
    assert [text.get_text() for text in ax.texts] == ["315", "35", "35", "315"]
    assert [name.split("(")[-1] for name in names(ax)[0]] == ["350)", "350)"]


@pytest.mark.parametrize("n_cells", [700, 70_000])
def test_counts_do_not_overlap_dot_edges(annotated: Callable[..., AnnData], n_cells: int) -> None:
    original = annotated(7)
    obs = original.obs.iloc[np.arange(n_cells) % original.n_obs]
    adata = AnnData(obs=obs.set_index(np.arange(n_cells).astype(str)), uns=original.uns)
    ax = ace.pl.confusion(adata, "truth", counts=True, show=False)
    fig = ax.figure
    fig.draw_without_rendering()
    (drawn,) = ax.collections[:1]
    centers = ax.transData.transform(drawn.get_offsets())
    radii = drawn.get_sizes() ** 0.5 / 2 / 72 * fig.dpi
    assert len(ax.texts) == len(radii) == 14
    within = []
    for text in ax.texts:
        box = text.get_window_extent()
        nearest = np.clip(centers, box.min, box.max)
        touching = np.hypot(*(nearest - centers).T) < radii
        corners = box.corners()[:, None] - centers
        inside = (np.hypot(corners[..., 0], corners[..., 1]) <= radii).all(axis=0)
        np.testing.assert_array_equal(touching, inside)
        within.append(bool(inside.any()))
        frame = ax.get_window_extent()
        assert frame.y0 < box.y0 < box.y1 < frame.y1
    # 90 of 100 cells fits into the dot, 9000 of 10000 does not; the dots of 10 and 1000 are small.
    assert sum(within) == (7 if n_cells == 700 else 0)


def test_counts_on_dark_dots_are_white(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(2)
    adata.obs["scnym_confidence"] = np.where(adata.obs["scnym"] == "T/NK", 0.97, 0.6)
    ax = ace.pl.confusion(adata, "truth", counts=True, show=False)
    assert [text.get_color() for text in ax.texts] == ["white", "black", "black", "black"]


def test_given_labels_are_excluded(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(2)
    adata.obs["scnym_given"] = np.arange(700) < 400
    ax = ace.pl.confusion(adata, "truth", counts=True, show=False)
    assert sum(int(text.get_text()) for text in ax.texts) == 300


def test_majority_votes(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(2)
    with pytest.raises(
        KeyError, match=r"no majority votes in adata.obs\['scnym_majority'\].*over_clus"
    ):
        ace.pl.confusion(adata, "truth", majority=True)
    adata.obs["scnym_majority"] = pd.Categorical(["Heterogeneous"] * 700)
    ax = ace.pl.confusion(adata, "truth", majority=True, show=False)
    assert names(ax)[1] == ["Heterogeneous"]
    assert ax.get_xlabel() == "majority vote"


@pytest.mark.parametrize("n_labels", [1, 30])
def test_nothing_is_clipped_and_dots_stay_apart(
    annotated: Callable[..., AnnData], n_labels: int
) -> None:
    adata = annotated(n_labels)
    fig = ace.pl.confusion(adata, "truth", counts=True, return_fig=True)
    fig.draw_without_rendering()
    (ax,) = fig.axes
    content = ax.get_tightbbox()
    assert fig.bbox.x0 <= content.x0 < content.x1 <= fig.bbox.x1
    assert fig.bbox.y0 <= content.y0 < content.y1 <= fig.bbox.y1
    across = ax.collections[0].get_sizes().max() ** 0.5 / 72 * fig.dpi
    cell = ax.transData.transform([(0, 0), (1, 1)])
    assert across <= abs(cell[1] - cell[0]).min()
    assert across > 0.15 * fig.dpi


def test_given_axes_are_used(annotated: Callable[..., AnnData]) -> None:
    _, ax = plt.subplots()
    assert ace.pl.confusion(annotated(3), "truth", ax=ax, show=False) is ax
    assert ax.collections


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"groupby": "truht"}, KeyError, r"no column 'truht' in adata\.obs.*mean 'truth'\?"),
        (
            {"groupby": "scnym_novelty"},
            ValueError,
            r"obs\['scnym_novelty'\] holds measurements \(float32\).*astype\('category'\)",
        ),
        ({"key": "other"}, KeyError, r"no annotation.*there: \['scnym'\].*ace\.tl\.annotate"),
        ({"groups": ["B"]}, KeyError, r"no groups \['B'\] in adata\.obs\['truth'\]"),
        ({"groups": []}, ValueError, "groups must have at least 1 of"),
    ],
)
def test_errors_explain_the_fix(
    annotated: Callable[..., AnnData], arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ace.pl.confusion(annotated(2), **({"groupby": "truth"} | arguments))
