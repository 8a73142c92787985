from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from matplotlib.patches import Patch

from ace._checks._arguments import positive
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace.get import explain_df, panel_dict
from ace.pl import _texts
from ace.pl._colors import DEPLETED, ENRICHED
from ace.pl._figure import finish

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@doc_params(
    adata=_texts.ADATA,
    groups=_texts.GROUPS,
    gene_symbols=_texts.GENE_SYMBOLS,
    key=_texts.KEY,
    returned=_texts.returned("the axes by name, as :class:`scanpy.pl.DotPlot` does"),
)
def dotplot(
    adata: AnnData,
    *,
    groups: str | Sequence[str] | None = None,
    n_genes: int | None = 4,
    direction: Literal["enriched", "depleted"] | None = None,
    gene_symbols: str | None = None,
    key: str = DEFAULT_KEY,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    return_fig: bool = False,
    **options: Any,
) -> Figure | dict[str, Axes] | None:
    """Draw the expression of the panels as scanpy's dot plot, with the direction of each gene.

    The panel of a group may consist of genes that the group lacks. In a dot plot, its own row is
    then nearly empty, and the other rows show where these genes are expressed. The names of genes
    that are enriched in the group have one colour, those of depleted genes another.

    Parameters
    ----------
    {adata}
    {groups}
    n_genes
        Number of genes per group. If ``None``, all genes of each panel.
    direction
        Draw ``"enriched"`` or ``"depleted"`` genes only. If ``None``, both.
    {gene_symbols}
    {key}
    show
        Show the figure. If ``None``, follow ``scanpy.settings.autoshow``.
    save
        File to save the figure to, as in :func:`ace.pl.panels`.
    return_fig
        Return the figure instead of showing it.
    **options
        Options of :class:`scanpy.pl.DotPlot`, such as ``standard_scale``.

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the explanation, a group or the column of gene names does not exist.
    ValueError
        If ``n_genes`` is not positive, no gene is left, or ``direction`` is unknown.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> axes = ace.pl.dotplot(adata, groups=["0", "4"], n_genes=3, show=False)
    >>> len(axes["mainplot_ax"].get_xticklabels())
    6
    """
    import scanpy as sc

    positive(n_genes, "n_genes")
    panels = panel_dict(
        adata, groups, n_genes=n_genes, direction=direction, key=key, gene_symbols=gene_symbols
    )
    if not panels:
        raise ValueError(
            f"the explanation {key!r} has no genes to draw. Pass n_genes, or another direction."
        )
    params = ExplanationKeys(key).read(adata).params
    plot = sc.pl.DotPlot(
        adata,
        panels,
        params["groupby"],
        gene_symbols=gene_symbols,
        layer=params["layer"],
        use_raw=False,
        **options,
    )
    plot.make_figure()
    axes = plot.get_axes()
    _color_names(axes["mainplot_ax"], _enriched(adata, panels, key, gene_symbols))
    handles = [Patch(color=ENRICHED, label="enriched"), Patch(color=DEPLETED, label="depleted")]
    plot.fig.legend(
        handles=handles, title="genes", loc="lower right", frameon=False, fontsize="small"
    )
    return finish(plot.fig, axes, name="dotplot", show=show, save=save, return_fig=return_fig)


def _enriched(
    adata: AnnData, panels: dict[str, list[str]], key: str, gene_symbols: str | None
) -> list[bool]:
    """Direction of each gene in the group that it is drawn for, in the order of the plot."""
    df = explain_df(adata, list(panels), key=key, gene_symbols=gene_symbols)
    name = "gene" if gene_symbols is None else "symbol"
    enriched = df.drop_duplicates(["group", name]).set_index(["group", name])["enriched"]
    return [bool(enriched[group, gene]) for group, genes in panels.items() for gene in genes]


def _color_names(ax: Axes, enriched: list[bool]) -> None:
    for text, up in zip(ax.get_xticklabels(), enriched, strict=True):
        text.set_color(ENRICHED if up else DEPLETED)
