from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._checks._arguments import number
from ace._checks._figures import embedding_of, something
from ace._docs import doc_params
from ace._keys import DEFAULT_ANNOTATION_KEY
from ace.get import annotation_df
from ace.pl import _texts
from ace.pl._colors import CONFIDENCE, DEPLETED
from ace.pl._figure import figure_of, finish, grid_of_axes, wrap

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Maximum number of dots per label; more would hide each other.
_DOTS = 1500


@doc_params(
    adata=_texts.ANNOTATED,
    key=_texts.ANNOTATION_KEY,
    size=_texts.SIZE,
    output=_texts.output(),
    returned=_texts.returned(),
)
def confidence(
    adata: AnnData,
    *,
    basis: str | None = "auto",
    key: str = DEFAULT_ANNOTATION_KEY,
    size: float | None = None,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw the confidence of predicted labels, and the cells that were flagged as novel.

    On an embedding, each cell is coloured by the confidence of its label. Without an embedding,
    the distribution of the confidence is drawn for each label, with median, quartiles and number
    of cells. Novel cells are marked by black crosses.

    Parameters
    ----------
    {adata}
    basis
        Embedding to draw on, such as ``"umap"`` for ``adata.obsm["X_umap"]``. With ``"auto"``, the
        UMAP if it exists, otherwise ``None``. If ``None``, draw the distribution for each label.
    {key}
    {size}
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the annotation or embedding does not exist.
    ValueError
        If distributions are drawn and the labels of all cells were given.

    Examples
    --------
    >>> import ace
    >>> cells = ace.datasets.pbmc68k_reduced()
    >>> atlas, query = cells[::2].copy(), cells[1::2].copy()
    >>> ace.tl.annotate(query, "bulk_labels", reference=atlas, max_epochs=2)
    >>> ax = ace.pl.confidence(query, show=False)
    >>> ax.get_xlabel()
    'umap 1'
    """
    number(size, "size", above=True, optional=True)
    df = annotation_df(adata, key=key)
    name = _embedding(adata, basis)
    if name is None:
        df = df[~df["given"]]
        labels = [c for c in df["label"].cat.categories if (df["label"] == c).any()]
        something(labels, "the labels of all cells were given")
        if ax is None:
            longest = max(len(str(label)) for label in labels)
            _, (ax,) = grid_of_axes(
                1,
                ncols=1,
                panel_size=(3.4, 0.3 * len(labels) + 0.8),
                margin=(0.07 * min(longest, 32) + 0.7, 0),
            )
        _draw_distributions(ax, df, labels, size)
    else:
        if ax is None:
            _, (ax,) = grid_of_axes(1, ncols=1, panel_size=(4.6, 3.7))
        _draw_embedding(ax, df, np.asarray(adata.obsm[name]), size)
        short = name.removeprefix("X_")
        ax.set(xlabel=f"{short} 1", ylabel=f"{short} 2")
    return finish(
        figure_of(ax), ax, name="confidence", show=show, save=save, return_fig=return_fig
    )


def _embedding(adata: AnnData, basis: str | None) -> str | None:
    """Key of the embedding in ``obsm``; ``None`` to draw distributions."""
    if basis is None or (basis == "auto" and "X_umap" not in adata.obsm):
        return None
    return embedding_of(adata, "umap" if basis == "auto" else basis)


def _draw_embedding(ax: Axes, df: pd.DataFrame, at: np.ndarray, size: float | None) -> None:
    size = min(120_000 / len(df), 30.0) if size is None else size
    novel = df["novel"].to_numpy(dtype=bool)
    # Cells with low confidence are drawn on top.
    order = np.flatnonzero(~novel)
    order = order[np.argsort(-df["confidence"].to_numpy()[order], kind="stable")]
    dots = ax.scatter(
        at[order, 0],
        at[order, 1],
        s=size,
        c=df["confidence"].to_numpy()[order],
        cmap=CONFIDENCE,
        vmin=0,
        vmax=1,
        linewidths=0,
        rasterized=True,
    )
    _draw_novel(ax, at[novel, 0], at[novel, 1], size, int(novel.sum()))
    bar = figure_of(ax).colorbar(dots, ax=ax, label="confidence", aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    ax.set(xticks=[], yticks=[])
    ax.spines[["top", "right"]].set_visible(False)
    if novel.any():
        ax.legend(loc="best", frameon=False, fontsize="small")


def _draw_novel(ax: Axes, x: np.ndarray, y: np.ndarray, size: float, n_novel: int) -> None:
    if len(x):
        ax.scatter(
            x,
            y,
            s=max(1.3 * size, 14.0),
            marker="x",
            color="black",  # not a colour of the confidence
            linewidths=min(1.0, max(0.25 * size**0.5, 0.7)),
            label=f"novel ({n_novel})",
            rasterized=True,
            zorder=3,
        )


def _draw_distributions(
    ax: Axes, df: pd.DataFrame, labels: list[object], size: float | None
) -> None:
    rng = np.random.default_rng(0)
    size = min(max(30_000 / max(len(df), 1), 2.0), 12.0) if size is None else size
    novel_x, novel_y = [], []
    for row, label in enumerate(labels):
        cells = df[df["label"] == label]
        values, novel = cells["confidence"].to_numpy(), cells["novel"].to_numpy(dtype=bool)
        drawn = rng.permutation(len(values))[:_DOTS]
        y = row + rng.uniform(-0.32, 0.32, len(drawn))
        known = ~novel[drawn]
        ax.scatter(
            values[drawn][known], y[known], s=size, color=DEPLETED, alpha=0.35, linewidths=0
        )
        novel_x.append(values[drawn][~known])
        novel_y.append(y[~known])
        ax.annotate(
            f"{len(values)}" + (f", {novel.mean():.0%} novel" if novel.any() else ""),
            (1, row),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
        )
    n_novel = int(df["novel"].sum())
    _draw_novel(ax, np.concatenate(novel_x), np.concatenate(novel_y), size, n_novel)
    ax.boxplot(
        [df.loc[df["label"] == label, "confidence"] for label in labels],
        positions=np.arange(len(labels)),
        orientation="horizontal",
        widths=0.5,
        showfliers=False,
        showcaps=False,
        manage_ticks=False,
        medianprops={"color": "black", "linewidth": 1.6},
        boxprops={"linewidth": 0.8},
        whiskerprops={"linewidth": 0.8},
    )
    names = [wrap(str(label), 32) for label in labels]
    ax.set_yticks(np.arange(len(labels)), labels=names, fontsize="small", parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_xlim(0, 1.01)
    ax.set_xlabel("confidence of the label")
    ax.spines[["top", "right"]].set_visible(False)
    if n_novel:  # above the rows
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")
