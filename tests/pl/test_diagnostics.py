from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


@pytest.mark.parametrize("n_groups", [2, 30])
def test_figure_matches_stored_values(explained: Callable[..., AnnData], n_groups: int) -> None:
    adata = explained(n_groups)
    stored = adata.uns["ace"]["diagnostics"]
    fidelity, cells = ace.pl.diagnostics(adata, show=False)  # the other columns have no values
    assert (fidelity.get_title(), cells.get_title()) == ("fidelity", "cells explained")
    assert [label.get_text() for label in fidelity.get_yticklabels()] == list(stored.index)
    assert [bar.get_width() for bar in fidelity.patches] == list(stored["fidelity"])
    assert [bar.get_width() for bar in cells.patches] == list(stored["n_cells"])
    assert [text.get_text() for text in cells.texts] == [f"{n:.0f}" for n in stored["n_cells"]]
    assert fidelity.yaxis_inverted()


def test_low_fidelity_is_highlighted(explained: Callable[..., AnnData]) -> None:
    adata = explained(4)
    adata.uns["ace"]["diagnostics"]["fidelity"] = [0.95, 0.849, 0.85, 0.2]
    ax = ace.pl.diagnostics(adata, columns="fidelity", show=False)
    (line,) = ax.lines
    assert set(line.get_xdata()) == {0.85}
    assert [bar.get_hatch() is not None for bar in ax.patches] == [False, True, False, True]
    vermillion, blue = "#d55e00", "#0072b2"
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches] == [
        blue,
        vermillion,
        blue,
        vermillion,
    ]


def test_columns_with_some_values_are_drawn(explained: Callable[..., AnnData]) -> None:
    adata = explained(4)
    adata.uns["ace"]["diagnostics"]["panel_size"] = [18, np.nan, 7, 12]
    axes = ace.pl.diagnostics(adata, show=False)
    assert [ax.get_title() for ax in axes] == ["fidelity", "genes in the panel", "cells explained"]
    assert [text.get_text() for text in axes[1].texts] == ["18", "7", "12"]
    assert [bar.get_width() for bar in axes[1].patches] == [18, 0, 7, 12]


def test_groups_and_columns_are_in_the_given_order(explained: Callable[..., AnnData]) -> None:
    adata = explained(8)
    axes = ace.pl.diagnostics(
        adata, groups=["cluster 5", "T/NK"], columns=["seconds", "n_reference"], show=False
    )
    assert [ax.get_title() for ax in axes] == ["seconds", "cells of the reference"]
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["cluster 5", "T/NK"]
    assert [text.get_text() for text in axes[0].texts] == ["0.25", "0.25"]


@pytest.mark.parametrize("n_groups", [2, 30])
def test_rows_are_high_enough_and_nothing_is_clipped(
    explained: Callable[..., AnnData], n_groups: int
) -> None:
    fig = ace.pl.diagnostics(explained(n_groups), return_fig=True)
    fig.draw_without_rendering()
    for ax in fig.axes:
        assert ax.get_window_extent().height / fig.dpi > n_groups * 9 / 72
        assert ax.get_window_extent().width / fig.dpi > 1
        content = ax.get_tightbbox()
        assert fig.bbox.x0 <= content.x0 < content.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= content.y0 < content.y1 <= fig.bbox.y1


def test_given_axes_are_used(explained: Callable[..., AnnData]) -> None:
    adata = explained(2)
    _, axes = plt.subplots(1, 2)
    assert ace.pl.diagnostics(adata, ax=list(axes), show=False) == list(axes)
    assert all(len(ax.patches) == 2 for ax in axes)
    with pytest.raises(ValueError, match=r"2 axes \(one per column\), got 1"):
        ace.pl.diagnostics(adata, ax=axes[0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"groups": "B"}, KeyError, r"no groups \['B'\] in .*ace\.tl\.explain"),
        ({"key": "other"}, KeyError, r"no explanation.*ace\.tl\.explain"),
        ({"columns": "l1"}, KeyError, r"no values of \['l1'\].*'fidelity'"),
        ({"columns": ["magic"]}, KeyError, r"no values of \['magic'\]"),
        ({"columns": []}, ValueError, "nothing to draw: .* no values"),
    ],
)
def test_errors_explain_the_fix(
    explained: Callable[..., AnnData], arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ace.pl.diagnostics(explained(2), **arguments)
