"""Descriptions of parameters and results that several plots share."""

from __future__ import annotations

from textwrap import fill

ADATA = """
adata
    Annotated data with the result of :func:`ace.tl.explain`.
"""

ANNOTATED = """
adata
    Annotated data with the result of :func:`ace.tl.annotate`.
"""

GROUPS = """
groups
    Groups to draw, in this order. If ``None``, all.
"""

GENE_SYMBOLS = """
gene_symbols
    Column of ``adata.var`` with the gene names to show. If ``None``, ``adata.var_names``.
"""

KEY = """
key
    The ``key_added`` of the explanation.
"""

ANNOTATION_KEY = """
key
    The ``key_added`` of the annotation.
"""

SIZE = """
size
    Area of a dot in points². If ``None``, it depends on the number of dots.
"""


def output(ax: str = "Axes to draw in. If ``None``, a new figure is created.") -> str:
    """Describe ``show``, ``save``, ``ax`` and ``return_fig``; only ``ax`` differs by plot."""
    return f"""
show
    Show the figure. If ``None``, follow ``scanpy.settings.autoshow``.
save
    File to save the figure to, whose suffix determines the format. ``True``, or an ending such as
    ``"_1.png"`` or ``".pdf"``, saves it in ``scanpy.settings.figdir``, named after the function,
    as scanpy does. ``None`` follows ``scanpy.settings.autosave``.
ax
{_wrapped(ax, indent=4)}
return_fig
    Return the figure instead of showing it.
"""


def returned(axes: str = "the axes") -> str:
    """Describe the result of a plot that draws in ``axes``."""
    return _wrapped(
        f"The figure if ``return_fig=True``; {axes} if the figure is not shown; otherwise "
        "``None``."
    )


#: Axes of a figure whose size depends on what is drawn.
GROWING = "If ``None``, a new figure whose size depends on the number of"


def _wrapped(text: str, indent: int = 0) -> str:
    """Break a text into indented lines."""
    margin = " " * indent
    return fill(text, 95, initial_indent=margin, subsequent_indent=margin)
