"""Plots of a panel for all groups: artists and data agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import ace
from ace._keys import PanelKeys

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

NAMES = ["T/NK", "costs $5 or $6", "B"]


@pytest.fixture
def selected(pbmc: AnnData) -> AnnData:
    """Blood cells with a stored panel of known quality."""
    at = pd.Categorical.from_codes
    PanelKeys().write(
        pbmc,
        ranked=np.array([0, 1]),
        about={
            "params": {"groupby": "costs $1", "n_genes": 2},
            "genes": pd.DataFrame({"gene": pbmc.var_names[:2]}),
            "quality": pd.DataFrame(
                {
                    "n_genes": [1, 2],
                    "balanced_accuracy": [0.5, 0.8],
                    "balanced_accuracy_se": [0.1, 0.05],
                    "worst_recall": [0.25, 0.75],
                    "worst_group": at([0, 1], NAMES),
                }
            ),
            "confusion": pd.DataFrame(
                {
                    "group": at([0, 0, 1, 2], NAMES),
                    "predicted": at([0, 2, 1, 2], NAMES),
                    "n_cells": [30, 10, 8, 5],
                }
            ),
        },
    )
    return pbmc


def test_confusion(selected: AnnData) -> None:
    ax = ace.pl.panel_confusion(selected, show=False)
    (image,) = ax.images
    expected = [[75, 0, 25], [0, 100, 0], [0, 0, 100]]
    np.testing.assert_allclose(image.get_array(), expected)
    assert [text.get_text() for text in ax.texts] == ["75", "25", "100", "100"]
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert rows == ["T/NK (40)", "costs $5 or $6 (8)", "B (5)"]
    assert [label.get_text() for label in ax.get_xticklabels()] == NAMES
    assert ax.get_ylabel() == "costs $1"
    ax.figure.canvas.draw()  # names with a dollar are no formulas


def test_accuracy(selected: AnnData) -> None:
    ax = ace.pl.panel_accuracy(selected, show=False)
    mean, worst = ax.get_lines()
    np.testing.assert_allclose(mean.get_xydata(), [[1, 0.5], [2, 0.8]])
    np.testing.assert_allclose(worst.get_ydata(), [0.25, 0.75])
    band = ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [0.4, 0.85])


@pytest.mark.parametrize("plot", [ace.pl.panel_confusion, ace.pl.panel_accuracy])
def test_output(plot, selected: AnnData, tmp_path: Path, snapshot) -> None:
    before = snapshot(selected)
    assert isinstance(plot(selected, return_fig=True), Figure)
    _, ax = plt.subplots()
    assert plot(selected, ax=ax, show=False, save=tmp_path / "plot.png") is ax
    assert (tmp_path / "plot.png").stat().st_size > 1000
    with pytest.raises(KeyError, match=r"There are panels in \['ace_panel'\]"):
        plot(selected, key="other")
    assert snapshot(selected) == before


def test_many_groups(pbmc: AnnData) -> None:
    pbmc.obs["many"] = pd.Categorical((np.arange(pbmc.n_obs) % 35).astype(str))
    ace.tl.select_panel(pbmc, "many", 5)
    ax = ace.pl.panel_confusion(pbmc, show=False)
    assert ax.images[0].get_array().shape == (35, 35)
    assert not ax.texts
