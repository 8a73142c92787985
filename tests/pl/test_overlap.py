from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgba

import ace
from ace.pl._colors import ENRICHED

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: b is in all three panels, a in two, c only in that of ACE, d and f in the second, e in the last.
PANELS = {
    "ACE": {"T": ["a", "b", "c"], "B": ["x"]},
    "costs $5, $6": {"T": ["d", "a", "b", "f"], "B": ["x"]},
    "COSG": {"T": ["e", "b"], "B": ["y"]},
}
EMPTY = "#e0e0e0"


def dots(ax: Axes) -> dict[tuple[int, int], str]:
    """Colour of the dot in each column and row that has one."""
    return {
        (round(x), round(y)): to_hex(points.get_facecolor()[0])
        for points in ax.collections
        if len(points.get_offsets())
        and len(points.get_facecolor())
        and hasattr(points, "get_sizes")
        for x, y in np.asarray(points.get_offsets())
        if to_hex(points.get_facecolor()[0]) != EMPTY
    }


def inset(ax: Axes, label: str) -> Axes:
    (found,) = (child for child in ax.child_axes if child.get_label() == label)
    return found


def sets(ax: Axes) -> list[tuple[tuple[str, ...], float]]:
    """Methods and height of the bar of each column, from left to right."""
    names = [label.get_text() for label in ax.get_yticklabels()]
    members = {}
    for column, row in sorted(dots(ax)):
        members.setdefault(column, []).append(names[row])
    bars = sorted(inset(ax, "sizes").patches, key=lambda bar: bar.get_x())
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx(list(members))
    return [(tuple(m), bar.get_height()) for m, bar in zip(members.values(), bars, strict=True)]


def test_columns_match_sets_counted_by_hand() -> None:
    ax = ace.pl.overlap(PANELS, group="T", show=False)
    one, other, last = PANELS
    # Sorted by size, then by the number of methods, then in the order of the methods.
    assert sets(ax) == [
        ((other,), 2),
        ((one, other, last), 1),
        ((one, other), 1),
        ((one,), 1),
        ((last,), 1),
    ]
    texts = [text.get_text() for text in inset(ax, "sizes").texts]
    assert texts == ["2", "1", "1", "1", "1"]


def test_bars_count_every_gene_once() -> None:
    ax = ace.pl.overlap(PANELS, group="T", show=False)
    assert sum(height for _, height in sets(ax)) == len("abcdef")


def test_shared_genes() -> None:
    ax = ace.pl.overlap(PANELS, group="T", show=False)
    right = inset(ax, "shared")
    assert [text.get_text() for text in right.texts] == ["2/3", "2/4", "1/2"]
    dark, light = right.containers
    assert [bar.get_width() for bar in dark] == [2, 2, 1]
    assert [(bar.get_x(), bar.get_width()) for bar in light] == [(2, 1), (2, 2), (1, 1)]
    assert right.get_ylim() == ax.get_ylim()  # the bars are aligned with the rows
    assert [round(bar.get_y() + bar.get_height() / 2) for bar in dark] == [0, 1, 2]


def test_highlight() -> None:
    plain = ace.pl.overlap(PANELS, group="T", show=False)
    assert set(dots(plain).values()) == {to_hex(to_rgba("0.25"))}
    ax = ace.pl.overlap(PANELS, group="T", highlight="ACE", show=False)
    assert sets(ax) == sets(plain)
    of_ace = {color for (_, row), color in dots(ax).items() if row == 0}
    assert of_ace == {ENRICHED.lower()}
    assert ENRICHED.lower() not in {color for (_, row), color in dots(ax).items() if row}
    bars = [to_hex(bar.get_facecolor()) for bar in inset(ax, "sizes").patches]
    assert [color == ENRICHED.lower() for color in bars] == [False, False, False, True, False]


def test_min_size() -> None:
    ax = ace.pl.overlap(PANELS, group="T", min_size=2, show=False)
    assert sets(ax) == [((list(PANELS)[1],), 2)]
    assert [text.get_text() for text in inset(ax, "shared").texts] == ["2/3", "2/4", "1/2"]


def test_names_are_not_parsed_as_math() -> None:
    ax = ace.pl.overlap(PANELS, group="T", show=False)
    assert not any(label.get_parse_math() for label in ax.get_yticklabels())


@pytest.mark.parametrize("n_methods", [2, 7])
def test_nothing_is_clipped_and_names_do_not_overlap(n_methods: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"a method that has a name which is rather long, {i}" for i in range(n_methods)]
    panels = {name: {"T": rng.permutation(40)[:18]} for name in names}
    fig = ace.pl.overlap(panels, return_fig=True)
    fig.draw_without_rendering()
    (ax,) = fig.axes
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    boxes += [text.get_window_extent() for text in inset(ax, "sizes").texts]
    boxes += [text.get_window_extent() for text in inset(ax, "shared").texts]
    boxes.append(inset(ax, "shared").get_legend().get_window_extent())
    for i, box in enumerate(boxes):
        assert fig.bbox.x0 <= box.x0 < box.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= box.y0 < box.y1 <= fig.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_given_axes_show_and_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Figure] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    fig, (left, right) = plt.subplots(1, 2)
    size = fig.get_size_inches().tolist()
    assert ace.pl.overlap(PANELS, group="T", ax=left, show=False) is left
    assert len(sets(left)) == 5
    assert not right.has_data()
    assert fig.get_size_inches().tolist() == size
    assert ace.pl.overlap(PANELS, group="T", ax=right, return_fig=True) is fig
    assert shown == []
    assert ace.pl.overlap(PANELS, group="T", show=True, save=tmp_path / "o.png") is None
    assert len(shown) == 1
    image = plt.imread(tmp_path / "o.png")
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group": None}, "pass one of them as group"),
        ({"group": "NK"}, "no panel for group 'NK'"),
        ({"highlight": "GRS"}, "highlight='GRS' is not one of"),
        ({"min_size": 3}, "no set of methods selected at least min_size=3"),
        ({"panels": {"ACE": {"T": []}}}, "no set of methods selected at least min_size=1"),
    ],
)
def test_errors_explain_the_fix(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ace.pl.overlap(**({"panels": PANELS, "group": "T"} | arguments))
