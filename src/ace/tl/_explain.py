"""Explain any grouping of cells by panels of genes."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any, Literal

from ace import _checks
from ace._checks import _storable
from ace._checks._objects import cells_of
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace._log import report
from ace._threads import one_thread
from ace.explain import Method
from ace.explain._methods import options_of
from ace.tl import _texts
from ace.tl._comparisons import resolve
from ace.tl._copying import require_copyable
from ace.tl._explain_cells import explain_cells
from ace.tl._explained import Explained, Settings
from ace.tl._sources import source_of
from ace.tl._tables import scanpy_params
from ace.tl._within import comparisons_within, explain_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from anndata import AnnData
    from mudata import MuData

    from ace.tl._comparisons import Comparisons

logger = logging.getLogger(__name__)


@doc_params(
    groupby=_texts.GROUPBY,
    method=_texts.METHOD,
    n_genes=_texts.N_GENES,
    key_added=_texts.KEY_ADDED,
    copy=_texts.COPY,
    random_state=_texts.RANDOM_STATE,
    method_options=_texts.METHOD_OPTIONS,
)
def explain(
    adata: AnnData | MuData,
    groupby: str,
    *,
    model: Any | None = None,
    method: str = "panel",
    groups: str | Iterable[str] | Mapping[str, str | Iterable[str]] = "all",
    reference: str | Iterable[str] = "rest",
    within: str | None = None,
    direction: Literal["both", "enriched", "depleted"] = "both",
    mask_var: str | Sequence[bool] | np.ndarray | None = None,
    quality: bool | None = None,
    layer: str | None = None,
    modality: str | None = None,
    n_cells: int | None = 1000,
    n_prototypes: int | None = None,
    n_genes: int | None = None,
    pvals: Literal["wilcoxon", "t-test", "t-test_overestim_var"] | None = None,
    per_cell: bool = False,
    key_added: str = DEFAULT_KEY,
    copy: bool = False,
    random_state: int = 0,
    progress: bool | None = None,
    **method_options: Any,
) -> AnnData | MuData | None:
    """Explain groups of cells by signed panels of genes.

    Works for any grouping (Leiden, k-means, annotated types). Genes are ranked such that the
    first few together distinguish the group from the others. Without a model, groups are
    represented by prototypes in the space of the principal components. scanpy's
    ``sc.pl.rank_genes_groups*`` draw the result with ``key="ace"``.

    Parameters
    ----------
    adata
        Annotated data, log-normalised (or scaled), or a MuData with such a modality. Only the
        keys below are changed.
    {groupby}
    model
        The function of the genes that is explained:

        - ``None``: principal components. Those of ``adata``, if ``varm["PCs"]`` and
          ``obsm["X_pca"]`` are of this matrix; otherwise new ones, of the genes in
          ``var["highly_variable"]`` if there is such a column.
        - A trained model of :mod:`ace.model`, such as :class:`~ace.model.KRATOS`, or any other
          model of scvi-tools with a Gaussian or deterministic latent space: SCVI, SCANVI,
          LinearSCVI, or one based on ``VAEMixin``. Cells of its unlabelled category are left
          out if its own labels are explained. A model of counts is explained in the space of
          log1p of counts scaled to 10⁴ per cell (over the genes of the model), with batch,
          covariates and total of each cell held fixed.
        - Your own :class:`~ace.explain.GroupScorer`, or any :class:`torch.nn.Module` that embeds
          cells × genes in a latent space. Both read the values of the matrix as they are.

        Genes that are not part of the input of a model are not ranked. With principal components,
        ``method="panel"`` ranks all genes that are expressed: those that are not highly variable
        get the coefficient of their regression on the components as loading. Coordinates (of
        Harmony or Scanorama) are not a function of the genes, but groups found on them can be
        explained through any of the above.
    {method}
    groups
        ``"all"``, a group, several, or sets of groups, such as ``{"T": ["CD4 T", "CD8 T"]}``. The
        cells of a set are merged into one group with the given name, before anything else, and
        ``"rest"`` are then all cells outside the set. If the scorer has groups of its own (a
        classifier on its labels, or your scorer), their probabilities are added.
    reference
        ``"rest"``, the name of a group, several groups (merged, like a set), or ``"each"`` for
        every ordered pair of the groups, in fields named ``"A vs B"`` (see
        :func:`ace.get.pairs_df` and :func:`ace.pl.pairs`). The two words never refer to a group of
        that name. The groups of the reference are not explained.
    within
        Column of ``obs``, such as ``"cell_type"``: compare the groups, such as conditions, within
        each of its categories, in fields named ``"stimulated in B cells"``. The result is that of
        a call for the cells of each category. Categories with fewer than 10 cells of a compared
        group are left out.
    direction
        Rank only genes that are ``"enriched"`` or only those that are ``"depleted"`` in the group,
        by the mean difference; ``method="panel"`` chooses the panel within the direction.
    mask_var
        Genes that may be ranked: a Boolean column of ``var`` or an array, such as surface proteins
        or the genes of a probe set. ``None`` for all.
    quality
        Judge panels on cells that had no part in their choice, by five-fold cross-fitting, for up
        to 20 genes: see :func:`ace.get.panel_quality_df`. This takes one to three times as long
        as the explanation with ``method="panel"``, and about five times as long with the others.
        ``None`` only for ``"panel"``.
    layer
        Layer to read instead of ``adata.X``. A trained model reads the layer that it was set up
        with, so ``layer`` can be left out.
    modality
        Modality of a MuData to explain. The result is written to ``mdata.mod[modality]``; pass
        that to :mod:`ace.get`, :mod:`ace.pl` and scanpy. ``None`` for the modality that ``model``
        was set up with.
    n_cells
        Largest number of cells drawn from each group, which bounds the cost; ``None`` for all.
    n_prototypes
        Number of prototypes per group; more follow a group of irregular shape more closely.
        ``None`` chooses it by the fidelity on held-out cells: 3, or up to 20 if that is below 0.9
        (see :func:`ace.explain.choose_n_prototypes`). The number is stored in ``params``.
    {n_genes}
    pvals
        Test of :func:`scanpy.tl.rank_genes_groups` whose p-values are stored beside the scores:
        ``"wilcoxon"``, ``"t-test"`` or ``"t-test_overestim_var"``. They are of each gene by
        itself, over all cells of the comparison, and not of the explanation. If the groups are
        clusters that were found on the same cells, they are far too small.
    per_cell
        Write the attributions of individual cells to a layer, and which cells were explained to
        ``obs``. Not possible with ``reference="each"`` or ``within``.
    {key_added}
    {copy}
    {random_state}
    progress
        Show a progress bar; ``None`` only if the work takes long.
    {method_options}

    Returns
    -------
    ``None``, or the copy. The following is written:

    ``adata.uns[key_added]``
        scanpy's ranking structure: records ``names``, ``scores`` (ordered by absolute value; the
        sign is the direction according to the method), ``logfoldchanges`` (by scanpy's formula;
        NaN unless the values are logarithms, to the base in ``uns["log1p"]`` if stated for ``X``),
        ``pvals`` and ``pvals_adj`` (NaN, or those of the test ``pvals``), and in addition
        ``enriched`` (Boolean: the mean of the gene is higher in the group than in its reference),
        ``mixed`` (Boolean: clearly higher than in some groups of the reference and clearly lower
        than in others), ``against`` (the group that the gene mainly separates the group from,
        ``""`` if the gene is not part of the input), ``pct_in`` and ``pct_out`` (fraction of cells
        with a value other than 0 in the group and in its reference), see
        :func:`ace.get.explain_df`; ``params``, including ``fidelity`` (over all cells),
        ``n_prototypes`` (the number used), ``n_eligible`` (number of genes that could be ranked:
        those in ``mask_var`` that are part of the input or, for ``"panel"`` with principal
        components, expressed), ``values`` (the kind of values) and ``values_total`` (the total
        that cells were normalised to, if known); and ``diagnostics``, with a row per group:
        ``fidelity`` (share of the held-out cells of the group that the scorer assigns to it),
        ``n_cells``, ``n_reference``, ``panel_size`` (the smallest number of genes whose AUROC on
        held-out cells is within one standard error of the best, or 0 if no panel is better than
        chance; NaN without ``quality`` or for groups of fewer than 5 cells), ``flip_rate``, ``l1``
        and ``n_features`` (of perturbations), ``delta`` (relative error of the sum of
        attributions, if it is known) and ``seconds``.

        scanpy's records cannot be stored for many groups (more than about 680 with names of 20
        characters) or, in Zarr format 2, with a colon in a name. In these cases the data frame
        ``table``, with a row for each gene of each group, replaces the records, and
        ``params["stored_as"]`` is ``"table"``. :mod:`ace.get` and :mod:`ace.pl` read both; scanpy
        reads only the records.
    ``adata.uns[key_added]["quality"]``
        With ``quality``: the table of :func:`ace.get.panel_quality_df`; and ``"rules"``, that of
        :func:`ace.get.rules_df`.
    ``adata.varm[key_added + "_scores"]``
        Signed scores, genes × groups; NaN for genes that were not ranked. A ``/`` in the name of a
        group becomes ``|`` in the column name, because anndata ≥ 0.13 does not store columns with
        a ``/``. With more than 4000 groups, or names longer than 200 bytes, it is an array with
        its columns in the order of the diagnostics.
    ``adata.layers[key_added + "_cells"]``
        Attributions of individual cells, with ``per_cell=True``. Signs are those of the scores:
        the mean of a gene over the explained cells of a group has the sign of its score. The layer
        is sparse if the method changes few genes per cell or fewer than half of the values are
        explained, otherwise a dense array. Cells that were not explained are NaN in a dense array
        and 0 in a sparse one, in which rows of NaN would take more memory than dense rows.
    ``adata.obs[key_added + "_explained"]``
        Whether the layer has attributions of a cell (Boolean), with ``per_cell=True``.

    Raises
    ------
    KeyError
        If the column, the layer, or a column of ``obs`` that the model reads does not exist.
    TypeError
        If ``adata`` is not an AnnData or MuData, ``model`` is not supported, ``key_added`` or an
        option has a type that cannot be stored, or an argument has another name here (``seed``).
    RuntimeError
        If the model is not trained.
    ValueError
        If a group, method, option or number is invalid; there is only one group; a cell has no
        group; gene names repeat or are missing; ``adata`` lacks a gene of the model or has a batch
        unknown to it; the model, scorer or embedding is not a differentiable function of the
        genes; all cells are equal; values are NaN, infinite, above 1e15, of different kinds in
        different cells, or of another kind than those that the model was trained on; ``modality``
        is missing; ``adata`` is a view of a file or was opened lazily; a name (of a group, a gene
        or the result) cannot be stored in a file; or ``key_added`` names something else. Nothing
        is written in these cases.

    Warns
    -----
    UserWarning
        If the values are counts, are not logarithms, or may be of another kind than those that the
        model was trained on; cells were normalised to different totals; a group has fewer than 8
        cells; the scorer does not reproduce the groups (fidelity below 0.85 over all cells, or
        below 0.5 in a group); categories of ``within`` have too few cells; or the
        reference is ``"rest"`` or ``"each"`` and a group has that name.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> adata.uns["ace"]["names"].dtype.names[:3]
    ('0', '1', '2')
    """
    with one_thread():
        given = cells_of(adata, modality, model=model)
        adata, groupby = given.adata, given.column(groupby)
        options = _checked_options(adata, method, method_options)
        settings = Settings(
            method=method,
            options=method_options,
            mask=_checks.mask_of(adata, mask_var),
            direction=direction,
            quality=method == "panel" if quality is None else quality,
            n_cells=n_cells,
            n_prototypes=n_prototypes,
            n_genes=n_genes,
            pvals=pvals,
            per_cell=per_cell,
            random_state=random_state,
        )
        _checks.unique_genes(adata)
        keys = ExplanationKeys(_storable.key(key_added))
        keys.require_free(adata)
        require_copyable(given, copy)
        if per_cell and (within is not None or str(reference) == "each"):
            raise ValueError("per_cell=True needs a single reference and no within.")
        unseen = Method.registry[method].info.ranks_unseen
        source = source_of(model, adata, layer, unseen=unseen)
        unlabelled = source.unlabelled(groupby)
        comparisons = resolve(adata, groupby, groups, reference, leave_out=unlabelled)

        def explain_part(cells: AnnData, compared: Comparisons) -> Explained:
            own = source_of(model, cells, layer, unseen=unseen)
            return explain_cells(cells, own, compared, settings, progress=False)

        if within is None:
            found = explain_cells(adata, source, comparisons, settings, progress)
        else:
            within = given.column(within)
            parts = comparisons_within(adata, within, comparisons)
            found = explain_within(adata, parts, explain_part, progress)
        given = given.copied() if copy else given
        written = keys.write(
            given.written,
            params=scanpy_params(groupby, comparisons.reference, method, source.layer)
            | found.params
            | settings.params
            | {
                "options": options,
                "embedding": source.name,
                "sets": comparisons.groups.sets,
                "within": within,
                "mask_var": mask_var if isinstance(mask_var, str) else None,
            },
            per_cell=found.per_cell,
            **found.tables,
        )
    n, n_ranked = len(found.tables["records"]["names"]), found.params["n_eligible"]
    text = "explained %d comparisons by %r; %d of %d genes could be ranked; added %s"
    report(logger, text, n, method, n_ranked, adata.n_vars, ", ".join(written))
    return given.whole if copy else None


def _checked_options(adata: AnnData, method: str, options: dict[str, Any]) -> dict[str, Any]:
    """Check the method and its options; return the options in storable types."""
    _checks.one_of(method, "method", list(Method.registry))
    if "use_rep" in options:
        raise _checks.not_a_function_of_genes(adata, options["use_rep"])
    _checks.not_raw(options.pop("use_raw", None))
    known = options_of(Method.registry[method])
    unknown = [option for option in options if option not in known]
    _checks.no_aliases(unknown, inspect.signature(explain).parameters, "explain")
    for option in unknown:
        _checks.one_of(option, f"option of method {method!r}", list(known))
    return _storable.plain(options, "option")
