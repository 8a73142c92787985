from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ace

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZES = (3, 5, 18)


def frame(seed: int, column: str = "auroc") -> pd.DataFrame:
    """Two groups, three folds."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product([["T", "B"], SIZES, range(3)])
    df = index.to_frame(index=False, name=["group", "n_top", "fold"])
    df[column] = rng.uniform(0.8, 1, len(df))
    return df


AUROCS = {"ACE": frame(0), "costs $5, $6": frame(1)}
REDUNDANCIES = {
    "ACE": frame(2, "redundancy").query("fold == 0"),
    "COSG": frame(3, "redundancy").query("fold == 0"),
}


def curves(ax: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.asarray(line.get_xydata()) for line in ax.get_lines()}


def bands(ax: Axes) -> list[np.ndarray]:
    """Limits of the band at each number of genes."""
    found = []
    for band in ax.collections:
        (path,) = band.get_paths()
        at = pd.DataFrame(path.vertices, columns=["x", "y"]).groupby("x")["y"]
        found.append(at.agg(["min", "max"]).to_numpy())
    return found


def test_mean_and_standard_error_by_hand() -> None:
    ax = ace.pl.panel_curves(AUROCS, show=False)
    assert list(curves(ax)) == list(AUROCS)
    for (name, drawn), band in zip(curves(ax).items(), bands(ax), strict=True):
        assert drawn[:, 0].tolist() == list(SIZES)
        for i, size in enumerate(SIZES):
            values = AUROCS[name].loc[AUROCS[name]["n_top"] == size, "auroc"].to_numpy()
            assert len(values) == 6
            error = values.std(ddof=1) / np.sqrt(6)
            assert drawn[i, 1] == pytest.approx(values.mean())
            assert band[i] == pytest.approx([values.mean() - error, values.mean() + error])
    assert ax.get_ylabel() == "AUROC"


def test_standard_deviation_and_no_band() -> None:
    ax = ace.pl.panel_curves(AUROCS["ACE"], band="sd", show=False)
    values = AUROCS["ACE"].query("n_top == 5")["auroc"]
    assert bands(ax)[0][1] == pytest.approx(
        [values.mean() - values.std(), values.mean() + values.std()]
    )
    assert bands(ace.pl.panel_curves(AUROCS, band=None, show=False)) == []


def test_both_measures_with_one_colour_per_method() -> None:
    left, right = ace.pl.panel_curves(AUROCS, REDUNDANCIES, show=False)
    assert right.get_ylabel().startswith("redundancy")
    color = [
        {str(line.get_label()): to_hex(line.get_color()) for line in ax.get_lines()}
        for ax in (left, right)
    ]
    assert color[0]["ACE"] == color[1]["ACE"]
    assert len({*color[0].values(), *color[1].values()}) == 3
    (legend,) = left.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ACE", "costs $5, $6", "COSG"]
    assert not any(text.get_parse_math() for text in legend.get_texts())
    (alone,) = [ace.pl.panel_curves(redundancies=REDUNDANCIES, show=False)]
    assert list(curves(alone)) == list(REDUNDANCIES)


def test_one_frame_for_all_methods() -> None:
    long = pd.concat(AUROCS, names=["method"]).reset_index(level=0)
    long["method"] = pd.Categorical(long["method"], [*AUROCS, "not there"])
    one, other = (curves(ace.pl.panel_curves(f, show=False)) for f in (long, AUROCS))
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_more_methods_than_colours_differ_in_dashes() -> None:
    ax = ace.pl.panel_curves({f"method {i}": frame(i) for i in range(16)}, show=False)
    styles = {(to_hex(line.get_color()), str(line.get_linestyle()), repr(line._dash_pattern))
              for line in ax.get_lines()}  # fmt: skip
    assert len(styles) == 16


def test_highlight() -> None:
    ax = ace.pl.panel_curves(AUROCS, highlight="ACE", show=False)
    thick, thin = ax.get_lines()
    assert thick.get_linewidth() > 1.5 * thin.get_linewidth()
    assert thick.get_zorder() > thin.get_zorder()
    plain = ace.pl.panel_curves(AUROCS, show=False)
    assert len({line.get_linewidth() for line in plain.get_lines()}) == 1
    # A method that is missing in one panel can be highlighted in the other.
    left, right = ace.pl.panel_curves(AUROCS, REDUNDANCIES, highlight="COSG", show=False)
    widths = [[line.get_linewidth() for line in axis.get_lines()] for axis in (left, right)]
    assert widths[0][0] == widths[0][1] == widths[1][0] < widths[1][1]


def test_missing_values_are_skipped() -> None:
    df = frame(0, "redundancy").query("fold == 0").copy()
    df.loc[(df["n_top"] == 3), "redundancy"] = [np.nan, 0.5]
    ax = ace.pl.panel_curves(redundancies=df, show=False)
    (drawn,) = curves(ax).values()
    assert drawn[0].tolist() == [3, 0.5]  # a single value has no band


def test_percent_of_all_genes() -> None:
    ax = ace.pl.panel_curves(AUROCS, n_genes=200, show=False)
    ax.figure.draw_without_rendering()
    (top,) = ax.child_axes
    assert top.get_xlabel() == "% of all genes"
    np.testing.assert_allclose(top.get_xlim(), np.array(ax.get_xlim()) / 2)


def test_results_of_the_metrics_can_be_drawn() -> None:
    adata = ace.datasets.simulated_panels(random_state=0)
    x, groups = adata.X.log1p(), adata.obs["group"]
    panels = {g: range(9) for g in groups.cat.categories}
    aurocs = ace.metrics.panel_auroc(x, groups, panels, (2, 9))
    redundancies = ace.metrics.panel_redundancy(x, panels, (2, 9))
    left, right = ace.pl.panel_curves(aurocs, redundancies, show=False)
    for ax, df, column in ((left, aurocs, "auroc"), (right, redundancies, "redundancy")):
        (drawn,) = curves(ax).values()
        np.testing.assert_allclose(drawn[:, 1], df.groupby("n_top")[column].mean())


def test_nothing_is_clipped() -> None:
    fig = ace.pl.panel_curves(
        {f"a method that has a name which is rather long, {i}": frame(i) for i in range(7)},
        REDUNDANCIES,
        n_genes=1000,
        return_fig=True,
    )
    fig.draw_without_rendering()
    for artist in (*fig.legends, *(ax.yaxis.label for ax in fig.axes), *fig.axes):
        box = artist.get_window_extent()
        assert fig.bbox.x0 <= box.x0 < box.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= box.y0 < box.y1 <= fig.bbox.y1
    for ax in fig.axes:
        assert ax.get_window_extent().width / fig.dpi > 2
        assert not ax.get_window_extent().overlaps(fig.legends[0].get_window_extent())


def test_given_axes_show_and_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Figure] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    fig, (left, right) = plt.subplots(1, 2)
    assert ace.pl.panel_curves(AUROCS, ax=left, show=False) is left
    assert left.get_legend() is not None
    both = ace.pl.panel_curves(AUROCS, REDUNDANCIES, ax=[left, right], return_fig=True)
    assert both is fig
    assert shown == []
    with pytest.raises(ValueError, match=r"2 axes \(auroc and redundancy\), got 1"):
        ace.pl.panel_curves(AUROCS, REDUNDANCIES, ax=left)
    assert ace.pl.panel_curves(AUROCS, show=True, save=tmp_path / "c.png") is None
    assert len(shown) == 1
    image = plt.imread(tmp_path / "c.png")
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 10


def test_frames_are_not_modified() -> None:
    before = {name: df.copy() for name, df in AUROCS.items()}
    ace.pl.panel_curves(AUROCS, REDUNDANCIES, show=False)
    for name, df in AUROCS.items():
        pd.testing.assert_frame_equal(df, before[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"aurocs": None}, "nothing to draw: pass aurocs, redundancies or both"),
        ({"aurocs": {}}, "no methods with auroc"),
        (
            {"aurocs": {"ACE": REDUNDANCIES["ACE"]}},
            r"frame of 'ACE' has no column \['auroc'\].*ace\.metrics\.panel_auroc",
        ),
        ({"aurocs": frame(0).iloc[:0]}, "frame of '' has no rows"),
        ({"highlight": "GRS"}, "highlight='GRS' is not one of"),
        ({"band": "ci"}, "band='ci' is not one of"),
        ({"n_genes": 0}, "n_genes must be a positive whole number"),
    ],
)
def test_errors_explain_the_fix(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ace.pl.panel_curves(**({"aurocs": AUROCS} | arguments))
