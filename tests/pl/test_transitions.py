from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scanpy as sc
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import ace
from ace.explain import Transitions

if TYPE_CHECKING:
    from pathlib import Path


def result(n: int = 3, shape: tuple[int, ...] = (6, 4)) -> Transitions:
    """The first pixel of each image is removed, the second one added."""
    images = np.zeros((n, *shape), dtype=np.float32)
    flat = images.reshape(n, -1)
    flat[:, 0], flat[:, 5] = 1.0, 0.5
    perturbed = images.copy()
    perturbed.reshape(n, -1)[:, 0] = 0.0
    perturbed.reshape(n, -1)[:, 1] = np.linspace(0.25, 0.75, n)
    names = tuple(str(i) for i in range(n))
    return Transitions(images, perturbed, names, ("x",) * n, ("x",) * n, np.ones(n, dtype=bool))


def drawn(ax: plt.Axes) -> np.ndarray:
    (image,) = ax.images
    return np.asarray(image.get_array())


def test_three_images_per_transition() -> None:
    found = result()
    axes = ace.pl.transitions(found, show=False)
    assert len(axes) == 9
    for i in range(3):
        np.testing.assert_array_equal(drawn(axes[3 * i]), found.images[i])
        np.testing.assert_array_equal(drawn(axes[3 * i + 1]), found.delta[i])
        np.testing.assert_array_equal(drawn(axes[3 * i + 2]), found.perturbed[i])
        assert axes[3 * i + 1].get_title() == f"{i} → x"


def test_symmetric_scale_with_zero_white() -> None:
    axes = ace.pl.transitions(result(), show=False)
    changes = [ax.images[0] for ax in axes[1::3]]
    assert {image.get_clim() for image in changes} == {(-1.0, 1.0)}
    red, green, blue, _ = changes[0].cmap(changes[0].norm(np.array([0.0])))[0]
    assert min(red, green, blue) > 0.99
    added, removed = (changes[0].to_rgba(value) for value in (1.0, -1.0))
    assert added[0] > added[2]
    assert removed[0] < removed[2]
    # Originals and results share one scale.
    assert len({ax.images[0].get_clim() for i, ax in enumerate(axes) if i % 3 != 1}) == 1


def test_selected_transitions_are_in_the_given_order() -> None:
    found = result()
    axes = ace.pl.transitions(found, index=[2, 0], titles=["$5", "b"], show=False)
    assert [ax.get_title() for ax in axes[1::3]] == ["$5", "b"]
    np.testing.assert_array_equal(drawn(axes[1]), found.delta[2])
    with pytest.raises(IndexError, match=r"index has \[3\], but there are 3 transitions"):
        ace.pl.transitions(found, index=[3])


def test_flat_images_are_reshaped() -> None:
    axes = ace.pl.transitions(result(shape=(16,)), show=False)
    assert drawn(axes[0]).shape == (4, 4)
    with pytest.raises(ValueError, match="flat images of 15 pixels are not square"):
        ace.pl.transitions(result(shape=(15,)))


def test_images_without_change_are_drawn() -> None:
    images = np.zeros((1, 4, 4))
    same = Transitions(images, images, ("a",), ("b",), ("a",), np.array([False]))
    assert np.all(drawn(ace.pl.transitions(same, show=False)[1]) == 0)


def test_wrong_numbers_raise() -> None:
    with pytest.raises(
        ValueError, match="titles must have one value for each transition, 3, got 1"
    ):
        ace.pl.transitions(result(), titles=["one"])
    with pytest.raises(ValueError, match="ncols must be a positive whole number"):
        ace.pl.transitions(result(), ncols=0)
    with pytest.raises(ValueError, match="no transitions"):
        ace.pl.transitions(result(), index=[])
    with pytest.raises(ValueError, match="9 axes"):
        ace.pl.transitions(result(), ax=plt.subplots(1, 2)[1])


def test_given_axes_are_used() -> None:
    fig, grid = plt.subplots(2, 3)
    axes = ace.pl.transitions(result(2), ax=list(grid.flat), show=False)
    assert axes == list(grid.flat)
    assert len(fig.axes) == 6


def test_nothing_overlaps_or_is_clipped() -> None:
    fig = ace.pl.transitions(result(7), ncols=3, return_fig=True)
    fig.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in fig.axes]
    for i, box in enumerate(boxes):
        assert fig.bbox.x0 <= box.x0 < box.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= box.y0 < box.y1 <= fig.bbox.y1
        assert not any(
            min(box.x1, other.x1) - max(box.x0, other.x0) > 1
            and min(box.y1, other.y1) - max(box.y0, other.y0) > 1
            for other in boxes[:i]
        )


def test_show_and_return_as_in_scanpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Figure] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    before = sc.settings.autoshow
    sc.settings.autoshow = True
    try:
        assert ace.pl.transitions(result(), save=tmp_path / "plot.png") is None
    finally:
        sc.settings.autoshow = before
    assert len(shown) == 1
    assert isinstance(ace.pl.transitions(result(), return_fig=True), Figure)
    assert len(shown) == 1
    assert (tmp_path / "plot.png").stat().st_size > 3000
