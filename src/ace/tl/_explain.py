"""The main job: explain any grouping of cells."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ace import _checks, _storable, _value_checks
from ace._keys import DEFAULT_KEY, ExplanationKeys, pair_name, storable
from ace._matrix import LogCounts, summarise
from ace._objects import cells_of
from ace._threads import one_thread
from ace._values import claimed_base, log_base
from ace.explain import EmbeddingScorer, Method, fidelity
from ace.explain._methods import options_of
from ace.tl._cells import CellLayer, draw_cells, read_cells
from ace.tl._scorers import (
    layer_of_model,
    matrix_of,
    name_of,
    readable,
    scorer_of_latent_space,
    scorer_of_model,
    scorer_of_pca,
    unlabelled_of,
)
from ace.tl._tables import ExplanationTables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.explain import GroupScorer

logger = logging.getLogger(__name__)

#: A progress bar appears where the first comparisons let expect at least so many seconds.
LONG_WORK = 10.0


def explain(
    adata: AnnData | MuData,
    groupby: str,
    *,
    model: Any | None = None,
    method: str = "panel",
    groups: Literal["all"] | Iterable[str] = "all",
    reference: str = "rest",
    layer: str | None = None,
    modality: str | None = None,
    n_cells: int | None = 1000,
    n_prototypes: int | None = None,
    n_genes: int | None = None,
    per_cell: bool = False,
    key_added: str = DEFAULT_KEY,
    copy: bool = False,
    random_state: int = 0,
    progress: bool | None = None,
    **method_options: Any,
) -> AnnData | MuData | None:
    """Explain groups of cells by signed panels of genes.

    Takes any grouping (Leiden, k-means, annotated types) and tells which genes make each group
    what it is, ranked such that the first few together tell it apart. Without a model it explains
    through the principal components, with prototypes for each group; scanpy's
    ``sc.pl.rank_genes_groups*`` draw the result with ``key="ace"``.

    Parameters
    ----------
    adata
        Annotated data, log-normalised (or scaled), or a MuData with such a modality. Only the
        keys below are changed.
    groupby
        Column of ``obs`` with the groups; for a MuData, of the modality or of the MuData.
    model
        A trained model of :mod:`ace.model`, such as :class:`~ace.model.KRATOS`, or any other of
        scvi-tools with a Gaussian or deterministic latent space: SCVI, SCANVI, LinearSCVI, or one
        written on ``VAEMixin``. Cells of its unlabelled category are left out where its own labels
        are explained. A model of counts is explained in the space of log1p of counts scaled to
        10⁴ per cell (over the model's genes); batch, covariates and size are held at each cell's
        own values. Coordinates (Harmony's, Scanorama's) are no function of the genes: groups found
        on them are explained through one of these.
        ``None``: adata's own principal components if ``varm["PCs"]`` and ``obsm["X_pca"]`` are of
        this matrix, else components computed on the side, of ``var["highly_variable"]`` genes if
        there is such a column. Genes that the scorer does not see get score 0 and rank last.
    method
        One of :func:`ace.explain.methods`:

        {methods}
    groups
        Groups to explain, or ``"all"``.
    reference
        ``"rest"``, the name of a group, or ``"each"``: every ordered pair of the groups, in fields
        named ``"A vs B"`` (see :func:`ace.get.pairs_df` and :func:`ace.pl.pairs`). The two words
        never mean a group of that name.
    layer
        Layer to read instead of ``adata.X``. With a model: the one that it was set up with, which
        is what ``None`` takes.
    modality
        Modality of a MuData to explain. The result is written to ``mdata.mod[modality]``; pass
        that to :mod:`ace.get`, :mod:`ace.pl` and scanpy. ``None``: the one that ``model`` was set
        up with.
    n_cells
        Cells drawn from each group, so that the cost does not grow with the data; ``None``: all.
    n_prototypes
        Prototypes of each group in the embedding; more follow a group of odd shape more closely.
        ``None`` chooses by fidelity on held-out cells: 3, or where that is below 0.9, up to 20
        (:func:`ace.explain.choose_n_prototypes`). ``params`` of the result tells the number.
    n_genes
        Number of top genes of each group to store in ``uns``; ``None``: all, which scanpy's
        ``values_to_plot`` needs. ``varm`` always has the scores of all genes.
    per_cell
        Write the attributions of the single cells that were drawn to a layer (0 elsewhere).
    key_added
        Name of the result. An existing ranking of genes (from this function or scanpy) with this
        name is overwritten; anything else raises an error.
    copy
        Return a changed copy and leave ``adata`` as it is.
    random_state
        Seed. The same call gives the same bits.
    progress
        Show a progress bar; ``None``: only if the work takes long.
    **method_options
        Options of the method; :func:`ace.explain.methods` lists them.

    Returns
    -------
    ``None``, or the copy. Written are

    ``adata.uns[key_added]``
        scanpy's ranking structure: records ``names``, ``scores`` (signed: positive = enriched in
        the group; ordered by size), ``logfoldchanges`` (scanpy's formula; NaN unless the values
        are logarithms, to the base in ``uns["log1p"]`` if stated for ``X``), ``pvals`` and
        ``pvals_adj`` (NaN: the methods give none), and ours: ``enriched`` (Boolean), ``pct_in``
        and ``pct_out`` (fraction of cells with a value other than 0 in the group and in its
        reference); ``params``, with ``fidelity`` (over all cells), ``n_prototypes`` (the number
        used), ``values`` (the kind of values that were read) and ``values_total`` (the total that
        every cell was normalised to, if known); and ``diagnostics``, a row per group: ``fidelity``
        (share of the group's cells that the scorer assigns to it), ``n_cells``, ``n_reference``,
        ``panel_size`` (genes that a cross-validated surrogate needs), ``flip_rate``, ``l1`` and
        ``n_features`` (of perturbations), ``delta`` (relative gap of attributions that should sum
        to a known number), ``seconds``.

        scanpy's records cannot be stored with many groups (more than about 680 with names of 20
        characters) or, in Zarr's format 2, with a colon in a name. Then the data frame ``table``,
        with a row for each gene of each group, replaces the records, and ``params["stored_as"]``
        is ``"table"``. :mod:`ace.get` and :mod:`ace.pl` read both; scanpy reads only the records.
    ``adata.varm[key_added + "_scores"]``
        Signed scores, genes × groups. A ``/`` in a group's name becomes ``|`` in the column name,
        because anndata ≥ 0.13 does not store columns with a ``/``. With more than 4000 groups, or
        names longer than 200 bytes, it is an array whose columns are in the order of the
        diagnostics.
    ``adata.layers[key_added + "_cells"]``
        Attributions of single cells, with ``per_cell=True``: sparse if the method changes few
        genes per cell or fewer than half of the values are explained, otherwise a dense array.

    Raises
    ------
    KeyError
        If the column or the layer does not exist, or a column of ``obs`` that the model reads.
    TypeError
        If ``adata`` is not an AnnData or MuData, ``model`` is not a supported model, or
        ``key_added`` or an option has a type that cannot be stored.
    RuntimeError
        If the model is not trained.
    ValueError
        If a group, method, option or number is not allowed, there is one group only, a cell has no
        group, gene names repeat or are missing, a gene of the model is missing or a batch unknown
        to it, its latent space is not a differentiable function of the genes, the cells do not
        differ, values are NaN, infinite, above 1e15, of different kinds in different cells,
        or of another kind than those that the model was trained on, a MuData needs a
        ``modality``, ``adata`` is a view of a file or was opened lazily, a name (of a group, a
        gene, the result) cannot be stored in a file, or ``key_added`` names something else.
        Nothing is written in these cases.

    Warns
    -----
    UserWarning
        If the values are counts, have no logarithm, or may be of another kind than those that
        the model was trained on, cells were normalised differently, a group has a single cell, the
        scorer does not reproduce the groups (fidelity below 0.9), or a group is called ``"rest"``
        or ``"each"`` and so is the reference.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> adata.uns["ace"]["names"].dtype.names[:3]
    ('0', '1', '2')
    """
    with one_thread():
        return _explain(
            adata,
            groupby,
            model=model,
            method=method,
            groups=groups,
            reference=str(reference),
            layer=layer,
            modality=modality,
            n_cells=n_cells,
            n_prototypes=n_prototypes,
            n_genes=n_genes,
            per_cell=per_cell,
            key_added=key_added,
            copy=copy,
            random_state=random_state,
            progress=progress,
            method_options=method_options,
        )


if explain.__doc__:
    explain.__doc__ = explain.__doc__.replace(
        "{methods}",
        "\n        ".join(
            f"- ``{cls.info.name!r}``: {cls.info.computes} ({cls.info.paper})"
            for cls in Method.registry.values()
        ),
    )


def _explain(
    adata: AnnData | MuData,
    groupby: str,
    *,
    model: Any | None,
    method: str,
    groups: Literal["all"] | Iterable[str],
    reference: str,
    layer: str | None,
    modality: str | None,
    n_cells: int | None,
    n_prototypes: int | None,
    n_genes: int | None,
    per_cell: bool,
    key_added: str,
    copy: bool,
    random_state: int,
    progress: bool | None,
    method_options: dict[str, Any],
) -> AnnData | MuData | None:
    """:func:`explain`, on the threads of the caller."""
    given = cells_of(adata, modality, model=model)
    adata, groupby = given.adata, given.column(groupby)
    _checks.one_of(method, "method", list(Method.registry))
    kind = Method.registry[method]
    if "use_rep" in method_options:
        raise _checks.not_a_function_of_genes(adata, method_options["use_rep"])
    _checks.not_raw(method_options.pop("use_raw", None))
    for option in method_options:
        _checks.one_of(option, f"option of method {method!r}", list(options_of(kind)))
    _checks.positive(n_cells, "n_cells")
    _checks.positive(n_prototypes, "n_prototypes")
    _checks.positive(n_genes, "n_genes")
    stored_options = _storable.plain(method_options, "option")
    _checks.seed(random_state)
    _checks.unique_genes(adata)
    keys = ExplanationKeys(_storable.key(key_added))
    keys.require_free(adata)
    if model is not None:
        model = readable(model, adata)
        layer = layer_of_model(model, layer)
    codes, names = _checks.groups_of(adata, groupby, leave_out=unlabelled_of(model, groupby))
    _checks.one_of(reference, "reference", ["rest", "each", *names])
    _checks.warn_of_reserved_name(reference, names, groupby)
    pairs = _pairs(_checks.chosen_groups(groups, names), names, reference)
    fields = [
        names[s] if reference != "each" else pair_name(names[s], names[t or 0]) for s, t in pairs
    ]
    asked = sorted({group for pair in pairs for group in pair if group is not None})
    _storable.groups([names[group] for group in asked], groupby)
    _checks.distinct([storable(field) for field in fields], fields)
    if copy and given.whole.isbacked:
        raise ValueError(
            "copy=True cannot copy an AnnData on disk: leave it out, or pass adata.to_memory()."
        )
    if per_cell and reference == "each":
        raise ValueError("per_cell=True needs one reference, 'rest' or a group, not 'each'.")
    matrix = matrix_of(model, adata, layer)
    base = claimed_base(adata, layer)
    values = _value_checks.values_of(matrix, layer, base=base, groups=codes)
    if model is None:
        _value_checks.warn_unless_log(values, layer)
    summary = summarise(matrix, codes, len(names))
    _checks.finite(summary.mean, adata.var_names, layer)
    _checks.warn_of_single_cells(summary.counts[asked], [names[group] for group in asked])

    if model is None:
        scored = scorer_of_pca(adata, matrix, codes, names, n_prototypes, random_state)
    elif hasattr(model, "group_scorer"):
        scored = scorer_of_model(model, adata, groupby, names, n_prototypes, random_state)
    else:
        scored = scorer_of_latent_space(model, codes, names, n_prototypes, random_state)
    # The engine counts groups as the scorer does: `at` goes from our codes to its codes.
    at = [scored.scorer.groups.index(name) for name in names]
    ours = np.argsort(at)
    drawn = [draw_cells(codes, g, n_cells, random_state) for g in range(len(names))]
    cells = read_cells(matrix, [drawn[g] for g in ours], summary.counts[ours], scored)
    agreement = fidelity(scored.scorer, cells)[at]
    overall = float(summary.counts @ agreement / summary.counts.sum())
    used = _n_prototypes(scored.scorer, n_prototypes)
    _checks.warn_of_low_fidelity(overall, agreement, names, _on_prototypes(used, n_prototypes))

    explainer = kind(scored.scorer, cells, random_state=random_state, per_cell=per_cell, **method_options)
    tables = ExplanationTables(
        adata.var_names,
        scored.columns,
        summary,
        # scanpy's formula turns means of logarithms back: it holds for nothing else.
        log_base=values.base if isinstance(matrix, LogCounts) else log_base(values, base),
        n_genes=n_genes,
    )
    explained = np.sort(np.concatenate([drawn[source] for source, _ in pairs]))
    layer_of_cells = CellLayer(adata.shape, explained, scored.columns) if per_cell else None
    for (source, other), field in zip(_watched(pairs, progress), fields, strict=True):
        began = time.perf_counter()
        found = explainer(at[source], None if other is None else at[other])
        _checks.finite_scores(found.scores, field, method)
        others = [other] if other is not None else [g for g in range(len(names)) if g != source]
        tables.add(
            field,
            found,
            source,
            others,
            {
                "fidelity": agreement[source],
                "n_cells": len(drawn[source]),
                "n_reference": sum(len(drawn[g]) for g in others),
                **found.diagnostics,
                "seconds": time.perf_counter() - began,
            },
        )
        if layer_of_cells is not None and found.per_cell is not None:
            layer_of_cells.add(drawn[source], found.per_cell)

    if copy:
        given = given.copied()
    written = keys.write(
        given.written,
        params={
            "groupby": groupby,
            "reference": reference,
            "method": method,
            "use_raw": False,
            "layer": layer,
            "corr_method": None,
            "options": stored_options,
            "scorer": type(scored.scorer).__name__,
            "embedding": name_of(model),
            "fidelity": overall,
            "values": values.kind,
            "values_total": values.total,
            "n_cells": n_cells,
            "n_prototypes": used,
            "n_genes": n_genes,
            "random_state": random_state,
        },
        records=tables.records(),
        scores=tables.scores(),
        frames={"diagnostics": tables.diagnostics()},
        per_cell=None if layer_of_cells is None else layer_of_cells.matrix(),
    )
    logger.info("explained %d comparisons by %r; added %s", len(pairs), method, ", ".join(written))
    return given.whole if copy else None


def _pairs(chosen: list[int], names: list[str], reference: str) -> list[tuple[int, int | None]]:
    """Comparisons to make: codes of source and reference, ``None`` for the rest."""
    if reference == "rest":
        return [(source, None) for source in chosen]
    if reference == "each":
        if len(chosen) < 2:
            raise ValueError("reference='each' compares pairs of groups: choose at least two.")
        return [(s, t) for s in chosen for t in chosen if s != t]
    other = names.index(reference)
    pairs: list[tuple[int, int | None]] = [(source, other) for source in chosen if source != other]
    if not pairs:
        raise ValueError(
            f"{reference!r} is the only group chosen and the reference: nothing to compare."
        )
    return pairs


def _n_prototypes(scorer: GroupScorer, given: int | None) -> int | None:
    """Number of prototypes: as given, or as chosen; none of a classifier."""
    if not isinstance(scorer, EmbeddingScorer):
        return None
    return scorer.n_prototypes if given is None else given


def _on_prototypes(used: int | None, given: int | None) -> str:
    """What can be done about prototypes where fidelity is low."""
    if used is None:
        return ""
    if given is None:
        return (
            f"The number of prototypes, {used} a group, was chosen by fidelity: more do not help. "
        )
    return "Leave n_prototypes out to have their number chosen by fidelity, or try more. "


def _watched(
    pairs: Sequence[tuple[int, int | None]], progress: bool | None
) -> Iterator[tuple[int, int | None]]:
    """Yield the comparisons, behind a progress bar if it is wanted or the work takes long."""
    # The first comparison carries what all share, the second tells what one takes.
    n_timed = 0 if progress else min(2, len(pairs))
    began = time.perf_counter()
    for pair in pairs[:n_timed]:
        began = time.perf_counter()
        yield pair
    rest = pairs[n_timed:]
    expected = (time.perf_counter() - began) * len(rest)
    if rest and (progress or (progress is None and expected > LONG_WORK)):
        # scvi-tools takes seconds to import: only work that takes longer waits for it.
        from scvi.utils import track

        yield from track(rest, description="Explaining groups")
    else:
        yield from rest
