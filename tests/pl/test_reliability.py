from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ace
from ace.pl._colors import DEPLETED, ENRICHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


def test_figure_matches_stored_values(annotated: Callable[..., AnnData]) -> None:
    diagram, histogram = ace.pl.reliability(annotated(2), show=False)
    right, over, under = diagram.containers
    assert [bar.get_height() for bar in right] == [0.2, 0.8, 0.9]
    assert [bar.get_x() for bar in right] == [0.25, 0.5, 0.75]
    (bar,) = over  # overconfident in one bin, by 0.2
    assert (bar.get_x(), bar.get_y()) == (0.25, 0.2)
    np.testing.assert_allclose(bar.get_height(), 0.2)
    (bar,) = under  # by 0.1; in the last bin both are equal
    np.testing.assert_allclose((bar.get_x(), bar.get_height()), (0.5, 0.1))
    (lines,) = (c for c in diagram.collections if len(c.get_segments()))
    np.testing.assert_allclose([s[0][1] for s in lines.get_segments()], [0.4, 0.7, 0.9])
    # (10 * 0.2 + 20 * 0.1 + 70 * 0) / 100
    assert diagram.get_title() == "ECE 0.040 (100 cells)"
    assert [bar.get_height() for bar in histogram.patches] == [0, 10, 20, 70]


@pytest.mark.parametrize(
    ("shift", "labels"),
    [
        (-0.1, {"accuracy": "#cccccc", "overconfident": ENRICHED}),
        (0.0, {"accuracy": "#cccccc"}),
        (0.05, {"accuracy": "#cccccc", "underconfident": DEPLETED}),
    ],
)
def test_legend_matches_the_bars(
    annotated: Callable[..., AnnData], shift: float, labels: dict[str, str]
) -> None:
    frame = annotated(2).uns["scnym"]["reliability"]
    frame = frame.assign(accuracy=frame["confidence"] + shift)
    diagram, _ = ace.pl.reliability(frame, show=False)
    for legend in (diagram.figure.legends[0], diagram.legend()):
        *bars, line = sorted(
            zip(legend.legend_handles, legend.get_texts(), strict=True),
            key=lambda entry: entry[1].get_text() == "confidence",
        )
        assert line[1].get_text() == "confidence"
        shown = {text.get_text(): to_hex(bar.get_facecolor()) for bar, text in bars}
        assert shown == {label: color.lower() for label, color in labels.items()}


def test_result_of_get_calibration(annotated: Callable[..., AnnData]) -> None:
    frame = annotated(2).uns["scnym"]["reliability"]
    for source in (frame, {"ece": 0.04, "reliability": frame}):
        diagram, _ = ace.pl.reliability(source, show=False)
        assert diagram.get_title() == "ECE 0.040 (100 cells)"


def test_given_axes_are_used(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(2)
    _, axes = plt.subplots(2, 1)
    assert ace.pl.reliability(adata, ax=list(axes), show=False) == list(axes)
    assert axes[0].get_legend() is not None
    with pytest.raises(ValueError, match=r"2 axes \(diagram and histogram\), got 1"):
        ace.pl.reliability(adata, ax=axes[0])


def test_nothing_is_clipped(annotated: Callable[..., AnnData]) -> None:
    fig = ace.pl.reliability(annotated(2), return_fig=True)
    fig.draw_without_rendering()
    (legend,) = fig.legends
    for part in (*fig.axes, legend):
        content = part.get_tightbbox()
        assert fig.bbox.x0 <= content.x0 < content.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= content.y0 < content.y1 <= fig.bbox.y1
    assert {text.get_text() for text in legend.get_texts()} == {
        "accuracy", "overconfident", "underconfident", "confidence",
    }  # fmt: skip


def test_errors_explain_the_fix(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(2)
    frame = adata.uns["scnym"].pop("reliability")
    with pytest.raises(
        KeyError, match=r"no labelled cells were held out.*get_calibration\(adata\)"
    ):
        ace.pl.reliability(adata)
    with pytest.raises(KeyError, match=r"no annotation.*ace\.tl\.annotate"):
        ace.pl.reliability(adata, key="other")
    with pytest.raises(ValueError, match=r"source has no column \['accuracy'\]"):
        ace.pl.reliability(frame.drop(columns="accuracy"))
    with pytest.raises(ValueError, match=r"source has no .*get_calibration"):
        ace.pl.reliability({"accuracy": 0.9})
    with pytest.raises(ValueError, match="no bin has cells"):
        ace.pl.reliability(frame.assign(n_cells=0))
