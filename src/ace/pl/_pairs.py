from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Patch

from ace._checks import one_of, positive, whole
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY
from ace.get import explain_df, pairs_df
from ace.get._pairs_df import explained_pairs
from ace.pl import _texts
from ace.pl._colors import DEPLETED, ENRICHED, group_colors
from ace.pl._figure import draw_strip, figure_of, finish, fit_figure, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

#: Measures by which cells can be shaded, with their labels.
_SHADES = {
    "jaccard": "genes in both orders,\nof those in either",
    "rbo": "rank-biased overlap\nof both orders",
    "opposite": "shared genes of\nopposite direction",
}
# Text in both colours is legible on all shades.
_SHADE = LinearSegmentedColormap.from_list("shade", ["white", "#FFE680"]).with_extremes(
    bad="#EEEEEE"
)
# Points.
_FONT = 7.5
_LINE = 1.3 * _FONT
# Inches.
_PAD = 0.06
_MIN_CELL = 0.55
_STRIP = 0.09
_GAP = 0.04
_BAR = (0.1, 1.0)
# Maximum number of characters per line of a group's name.
_WRAP = 24


@doc_params(
    gene_symbols=_texts.GENE_SYMBOLS,
    key=_texts.KEY,
    output=_texts.output(
        f"Axes to draw in; the font is scaled to fit. {_texts.GROWING} groups and genes."
    ),
    returned=_texts.returned("the axes of the matrix, with the others among its ``child_axes``"),
)
def pairs(
    adata: AnnData,
    *,
    groups: Sequence[str] | None = None,
    n_genes: int = 3,
    gene_symbols: str | None = None,
    key: str = DEFAULT_KEY,
    shade: str | None = None,
    n_compared: int = 20,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw the top genes that distinguish each group from each other group, as a matrix.

    A cell lists the ``n_genes`` genes with the largest absolute scores for the group of its row
    against the group of its column, coloured by whether they are enriched or depleted in the group
    of the row (in the data; the sign of a score may differ). If an explanation is symmetric, the
    cell across the diagonal lists the same genes in the other colour. Genes that are not
    ranked are not drawn.

    Parameters
    ----------
    adata
        Annotated data with the result of ``ace.tl.explain(adata, groupby, reference="each")``.
    groups
        Groups to draw, at least two, in this order. If ``None``, all.
    n_genes
        Maximum number of genes per cell.
    {gene_symbols}
    {key}
    shade
        Shade each cell by the similarity of the panels of its two groups: ``"jaccard"``, ``"rbo"``
        or ``"opposite"`` of :func:`ace.get.pairs_df`. If ``None``, cells are not shaded.
    n_compared
        Number of genes per panel that ``shade`` compares.
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the explanation, a group or the column of gene names does not exist.
    ValueError
        If the explanation does not compare pairs of groups, there are fewer than two groups,
        ``n_genes`` or ``n_compared`` is not positive, or ``shade`` is unknown.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, "louvain", groups=["0", "3", "4"], reference="each")
    >>> ax = ace.pl.pairs(adata, groups=["4", "0"], show=False)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['4', '0']
    """
    whole(n_genes, "n_genes")
    positive(n_compared, "n_compared", optional=False)
    if shade is not None:
        one_of(shade, "shade", list(_SHADES))
    explained = explained_pairs(adata, groups, key=key)
    names = list(dict.fromkeys(source for source, _ in explained.values()))
    df = explain_df(adata, list(explained), key=key, gene_symbols=gene_symbols)
    top = df[(df["rank"] <= n_genes) & (df["score"].abs() > 0)]
    alike = np.zeros((len(names), len(names)))
    if shade is not None:
        alike = _matrix(pairs_df(adata, names, n_genes=n_compared, key=key), names, shade)
    np.fill_diagonal(alike, np.nan)

    own_figure = ax is None
    if ax is None:
        from matplotlib import pyplot as plt

        ax = plt.figure().add_axes((0, 0, 1, 1))
    fig = figure_of(ax)
    image = _draw_grid(ax, alike)
    at = {field: (names.index(a), names.index(b)) for field, (a, b) in explained.items()}
    texts = _draw_genes(ax, top, at, n_genes, label="gene" if gene_symbols is None else "symbol")
    width, height = _widest(texts), n_genes * _LINE / 72
    if own_figure:
        cell = (max(width + 2 * _PAD, _MIN_CELL), height + 2 * _PAD)
        fig.set_size_inches(len(names) * cell[0], len(names) * cell[1])
    extent = ax.get_window_extent()
    size = (extent.width / fig.dpi, extent.height / fig.dpi)
    _fit_texts(texts, width, height, cell=(size[0] / len(names), size[1] / len(names)))
    _name_groups(ax, names, cell_width=size[0] / len(names))

    colors = group_colors(adata, key=key)
    color_of = {a: colors[field] for field, (a, _) in explained.items()}
    _draw_strips(ax, [color_of[name] for name in names], size)
    ax.legend(
        handles=[
            Patch(color=ENRICHED, label="enriched in the group of the row"),
            Patch(color=DEPLETED, label="depleted"),
        ],
        loc="lower left",
        bbox_to_anchor=(0, 1 + (_STRIP + 2 * _GAP) / size[1]),
        borderaxespad=0,
        ncols=2,
        frameon=False,
        fontsize="small",
    )
    if shade is not None:
        x = 1 + 3 * _GAP / size[0]
        bar_height = min(1.0, _BAR[1] / size[1])
        bar = ax.inset_axes((x, 1 - bar_height, _BAR[0] / size[0], bar_height), label="colorbar")
        fig.colorbar(image, cax=bar).set_label(_SHADES[shade], fontsize="small")
        bar.tick_params(labelsize="small", length=2)
    if own_figure:
        fit_figure(ax)
    return finish(fig, ax, name="pairs", show=show, save=save, return_fig=return_fig)


def _matrix(df: pd.DataFrame, names: list[str], column: str) -> np.ndarray:
    """Arrange a column of the table of pairs as a symmetric matrix."""
    matrix = np.full((len(names), len(names)), np.nan)
    row = [names.index(name) for name in df["group"]]
    other = [names.index(name) for name in df["reference"]]
    matrix[row, other] = matrix[other, row] = df[column]
    return matrix


def _draw_grid(ax: Axes, alike: np.ndarray) -> AxesImage:
    image = ax.imshow(alike, cmap=_SHADE, vmin=0, vmax=1, aspect="auto", interpolation="none")
    edges = np.arange(1, len(alike)) - 0.5
    ax.hlines(edges, -0.5, len(alike) - 0.5, color="lightgrey", linewidth=0.6)
    ax.vlines(edges, -0.5, len(alike) - 0.5, color="lightgrey", linewidth=0.6)
    ax.spines[:].set_color("lightgrey")
    ax.grid(visible=False)
    return image


def _draw_genes(
    ax: Axes, top: pd.DataFrame, at: dict[str, tuple[int, int]], n_genes: int, *, label: str
) -> list[Text]:
    """Write the genes of each cell, with offsets in points from its centre."""
    texts: list[Text] = []
    for field, rank, gene, enriched in zip(
        top["group"], top["rank"], top[label], top["enriched"], strict=True
    ):
        row, column = at[field]
        texts.append(
            ax.annotate(
                gene,
                (column, row),
                xytext=(0, ((n_genes + 1) / 2 - rank) * _LINE),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=_FONT,
                color=ENRICHED if enriched else DEPLETED,
                parse_math=False,
                gid=field,
            )
        )
    return texts


def _widest(texts: list[Text]) -> float:
    """Width of the widest text in inches."""
    if not texts:
        return 0.0
    return max(text.get_window_extent().width for text in texts) / texts[0].figure.dpi


def _fit_texts(
    texts: list[Text], width: float, height: float, *, cell: tuple[float, float]
) -> None:
    """Scale the font of all texts so that the widest fits into its cell."""
    room = (cell[0] - _PAD) / max(width, 1e-9), (cell[1] - _PAD) / height
    scale = min(1.0, *room)
    for text in texts:
        text.set_fontsize(_FONT * scale)
        text.set_position((0, text.get_position()[1] * scale))


def _name_groups(ax: Axes, names: list[str], *, cell_width: float) -> None:
    pad = 72 * (_STRIP + 2 * _GAP)
    labels = [wrap(name, _WRAP) for name in names]
    ax.set_yticks(np.arange(len(names)), labels=labels, fontsize="small", parse_math=False)
    ax.set_xticks(np.arange(len(names)), labels=labels, fontsize="small", parse_math=False)
    ax.tick_params(axis="y", length=0, pad=pad)
    ax.tick_params(axis="x", length=0)
    # Rotate names that do not fit under their column.
    if _widest(list(ax.get_xticklabels())) > cell_width - _GAP:
        ax.tick_params(axis="x", labelrotation=90)
    ax.set_ylabel("group", fontsize="medium")
    ax.set_xlabel("against", fontsize="medium")


def _draw_strips(ax: Axes, colors: list[str], size: tuple[float, float]) -> None:
    codes = np.arange(len(colors))
    thickness = (_STRIP / size[0], _STRIP / size[1])
    gap = (_GAP / size[0], _GAP / size[1])
    left = ax.inset_axes((-gap[0] - thickness[0], 0, thickness[0], 1), sharey=ax, label="groups")
    draw_strip(left, codes[:, None], colors)
    above = ax.inset_axes((0, 1 + gap[1], 1, thickness[1]), sharex=ax, label="references")
    draw_strip(above, codes[None, :], colors)
