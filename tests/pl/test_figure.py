"""Behaviour of all plots: ``show`` and ``return_fig`` as in scanpy, and unmodified data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import ace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anndata import AnnData


def confusion(adata: AnnData, **arguments: Any) -> Any:
    return ace.pl.confusion(adata, "truth", **arguments)


OF_ANNOTATIONS = [confusion, ace.pl.reliability, ace.pl.confidence]
PLOTS = [ace.pl.panels, ace.pl.heatmap, ace.pl.diagnostics, ace.pl.pairs, *OF_ANNOTATIONS]
#: Plots that can draw a single group.
OF_ONE_GROUP = [ace.pl.panels, ace.pl.heatmap, ace.pl.diagnostics, confusion]
every_plot = pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.__name__)


@pytest.fixture
def make(
    explained: Callable[..., AnnData], annotated: Callable[..., AnnData]
) -> Callable[..., AnnData]:
    """Return the data that a plot draws."""

    def make(n_groups: int, plot: Callable[..., Any]) -> AnnData:
        if plot in OF_ANNOTATIONS:
            return annotated(n_groups)
        return explained(n_groups, reference="each" if plot is ace.pl.pairs else "rest")

    return make


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that were shown."""
    figures: list[Figure] = []
    monkeypatch.setattr(plt, "show", lambda: figures.append(plt.gcf()))
    return figures


@pytest.fixture(params=[True, False])
def autoshow(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Set a setting of scanpy for a test; monkeypatch cannot restore it."""
    before = sc.settings.autoshow
    sc.settings.autoshow = request.param
    yield request.param
    sc.settings.autoshow = before


@every_plot
def test_show_follows_scanpy_setting(
    plot: Callable[..., Any],
    autoshow: bool,
    make: Callable[..., AnnData],
    shown: list[Figure],
) -> None:
    adata = make(2, plot)
    result = plot(adata)
    assert len(shown) == autoshow
    assert (result is None) == autoshow

    assert plot(adata, show=True) is None
    assert len(shown) == autoshow + 1
    assert plot(adata, show=False) is not None
    assert isinstance(plot(adata, return_fig=True), Figure)
    assert len(shown) == autoshow + 1


@every_plot
def test_axes_are_returned(
    plot: Callable[..., Any], make: Callable[..., AnnData], shown: list[Figure]
) -> None:
    adata = make(2, plot)
    result = plot(adata, show=False)
    axes = [result] if isinstance(result, Axes) else result
    assert all(isinstance(ax, Axes) for ax in axes)
    one = {"columns": "fidelity"} if plot is ace.pl.diagnostics else {}
    if plot in OF_ONE_GROUP:
        assert isinstance(plot(adata, groups="T/NK", show=False, **one), Axes)
    assert shown == []


@every_plot
def test_save_writes_the_given_file(
    plot: Callable[..., Any],
    make: Callable[..., AnnData],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    adata = make(2, plot)
    plot(adata, show=False, save=tmp_path / "plot.png")
    plot(adata, show=False, save="plot.pdf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plot.pdf", "plot.png"]
    assert (tmp_path / "plot.pdf").read_bytes().startswith(b"%PDF")
    image = plt.imread(tmp_path / "plot.png")
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 10  # not blank


@every_plot
def test_save_as_in_scanpy(
    plot: Callable[..., Any],
    make: Callable[..., AnnData],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    adata, name = make(2, plot), plot.__name__
    before = sc.settings.figdir, sc.settings.file_format_figs, sc.settings.autosave
    try:
        sc.settings.figdir, sc.settings.file_format_figs = tmp_path / "new" / "figures", "png"
        for save in (True, "_1", "_2.png", ".pdf", False, None):
            plot(adata, show=False, save=save)
        sc.settings.autosave, sc.settings.file_format_figs = True, "svg"
        plot(adata, show=False)
    finally:
        sc.settings.figdir, sc.settings.file_format_figs, sc.settings.autosave = before
    saved = sorted(path.name for path in (tmp_path / "new" / "figures").iterdir())
    ends = [".pdf", ".png", ".svg", "_1.png", "_2.png"]
    assert saved == sorted(f"{name}{end}" for end in ends)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def snapshot(value: Any) -> Any:
    """Deep copy, to detect any change of the data."""
    if isinstance(value, dict):
        return {k: snapshot(v) for k, v in value.items()}
    if isinstance(value, pd.DataFrame):
        return value.to_dict("split"), [str(t) for t in value.dtypes]
    if isinstance(value, np.ndarray):
        return value.tolist(), str(value.dtype)
    return value


@every_plot
def test_data_are_not_modified(plot: Callable[..., Any], make: Callable[..., AnnData]) -> None:
    adata = make(8, plot)
    x = adata.X.copy()

    def state() -> str:
        frames = {"obs": adata.obs, "var": adata.var, "scores": adata.varm.get("ace_scores")}
        keys = {name: list(getattr(adata, name)) for name in ("layers", "obsm", "varm", "obsp")}
        return repr(snapshot(dict(adata.uns) | frames | keys))

    before = state()
    options = {ace.pl.heatmap: {"dendrogram": True}, ace.pl.pairs: {"shade": "rbo"}}
    more: dict[str, Any] = options.get(plot, {})
    plot(adata, show=False, **more)
    assert state() == before
    assert abs(adata.X - x).sum() == 0
