"""Shared descriptions of parameters are inserted into docstrings."""

from __future__ import annotations

import pytest

from ace._docs import doc_params


def test_texts_replace_placeholders() -> None:
    @doc_params(
        size="""\
        size
            Number of cells.
        """
    )
    def draw() -> None:
        r"""Draw cells.

        Parameters
        ----------
        {size}

        Notes
        -----
        :math:`\frac{size}{2}`
        """

    assert draw.__doc__ == (
        "Draw cells.\n\nParameters\n----------\nsize\n    Number of cells.\n\n"
        "Notes\n-----\n:math:`\\frac{size}{2}`"
    )


def test_unknown_placeholder() -> None:
    def draw() -> None:
        """Draw cells."""

    with pytest.raises(ValueError, match="no line "):
        doc_params(size="size")(draw)
