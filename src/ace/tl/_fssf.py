"""Feature-set subcluster founder score of every pair of subclusters, with its control."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData

from ace import _checks, _columns, _storable
from ace._fssf_keys import DEFAULT_FSSF_KEY, FssfKeys
from ace._listed import listed
from ace._objects import cells_of
from ace._warn import warn
from ace.metrics._fssf import fit_neighbors
from ace.tl._swaps import Swaps, draw_swaps, random_sets

if TYPE_CHECKING:
    from mudata import MuData

logger = logging.getLogger(__name__)

#: Pairs of subclusters under which their mean says little.
FEW_PAIRS = 3


def fssf(
    adata: AnnData | MuData,
    model: Any,
    genes: Sequence[str] | str | Mapping[str, Sequence[str]],
    groupby: str,
    *,
    subclusters: str | None = None,
    modality: str | None = None,
    dimensions: Sequence[int] | slice | None = None,
    resolution: float = 0.5,
    n_neighbors: int = 15,
    min_cells: int = 20,
    max_cells: int | None = 1000,
    n_random: int = 100,
    batch_size: int = 4096,
    key_added: str = DEFAULT_FSSF_KEY,
    random_state: int = 0,
) -> None:
    r"""Score whether the subclusters that a model sees within each type are those of some genes.

    The feature-set subcluster founder score (FSSF) of scARE, §2.3. In the latent space of the
    model, the cells of each group (a type) are clustered. For every two subclusters, each cell
    gets the values that a random cell of the other has in ``genes``, and is embedded again. It
    then lies where most of its nearest original cells lie: in the subcluster that the genes came
    from (:math:`n_g` cells), in its own, where all other genes are from (:math:`n_o`), or in
    another.

    .. math:: FSSF = \frac{n_g - n_o}{n_t}

    with all :math:`n_t` swapped cells of the two. 1: the genes decide on the subcluster; -1: all
    others do. What any genes of that number would score tell random sets, drawn from the other
    genes and swapped between the same cells.

    Parameters
    ----------
    adata
        Annotated data with the genes of the model, in the values that it was trained on (counts,
        for an SCARE or SCVI), or a MuData with such a modality. Only the keys below are changed.
    model
        A trained model with a latent space: :class:`ace.model.SCARE`, any other of
        :mod:`ace.model` or of scvi-tools (:class:`scvi.model.SCVI`). Swapped cells keep their own
        batch and covariates.
    genes
        Names of genes; the name of a Boolean column of ``var`` (missing values are false); or a
        mapping from groups to names of genes, if each group has its own set (groups that are not
        in the mapping are left out).
    groupby
        Column of ``obs`` with the groups, such as cell types; for a MuData, of the modality or of
        the MuData.
    subclusters
        Column of ``obs`` with subclusters, such as time points, in place of the clustering;
        cells without one are left out.
    modality
        Modality of a MuData to read, and to write the result to (``mdata.mod[modality]``).
        ``None``: the one that ``model`` was set up with.
    dimensions
        Dimensions of the latent space that count, such as the block of one of several ground
        truths. ``None``: all.
    resolution
        Resolution of the Leiden clustering of each group.
    n_neighbors
        Neighbours, for the clustering and for the vote on where a swapped cell lies.
    min_cells
        Cells that a subcluster needs to be in a pair. Smaller ones keep their votes.
    max_cells
        Cells of a subcluster that are swapped, at most, drawn at random; ``None``: all. They bound
        the time that many cells take.
    n_random
        Number of random sets; 0 for no control.
    batch_size
        Swapped cells embedded at once.
    key_added
        Name of the result. Scores that lie under it are overwritten; nothing else is.
    random_state
        Seed. The same call gives the same bits.

    Returns
    -------
    Nothing. Written are

    ``uns[key_added]["pairs"]``
        A row for each pair of subclusters, see :func:`ace.get.fssf_df`.
    ``uns[key_added]["genes"]``
        The genes, with their group where each has a set of its own.
    ``uns[key_added]["params"]``
        The arguments.
    ``obs[key_added + "_subcluster"]``
        Subcluster of each cell, such as ``"CD4 T:0"`` (categorical); missing for the cells of
        groups that are too small for two of them.
    ``obsm["X_" + key_added]``
        The latent space, of the chosen dimensions.

    Raises
    ------
    KeyError
        If a column or a layer that the model reads does not exist.
    RuntimeError
        If the model is not trained.
    TypeError
        If ``model`` has no latent space that is a function of genes, ``genes`` are not names, or
        ``key_added`` is not a string.
    ValueError
        If the model lacks genes of the set, no group has two subclusters, there are too few genes
        besides the set for random ones, an argument is out of range, or a name (of a group, a
        subcluster, the result) cannot be stored in a file. Nothing is written in these cases.

    Warns
    -----
    UserWarning
        If there are fewer than three pairs: which subclusters there are is then left to chance.

    See Also
    --------
    ace.get.fssf_df : the scores as a frame.
    ace.pl.fssf, ace.pl.polarization : draw them, and the genes' expression in the latent space.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k()
    >>> ace.model.SCARE.setup_anndata(adata, layer="counts")
    >>> genes = ["CD74", "HLA-DRA", "CD79A"]
    >>> model = ace.model.SCARE(adata, ground_truth=genes)
    >>> model.train(max_epochs=3, enable_progress_bar=False)
    >>> ace.tl.fssf(adata, model, genes, "phase", n_random=10)
    >>> bool(ace.get.fssf_df(adata)["fssf"].between(-1, 1).all())
    True
    """
    cells_given = cells_of(adata, modality, model=model)
    adata, written_to = cells_given.adata, cells_given.written
    groupby, subclusters = cells_given.column(groupby), cells_given.column(subclusters)
    keys = FssfKeys(_storable.key(key_added))
    # The clustering counts a cell among its own neighbours: one would be itself.
    _checks.whole(n_neighbors, "n_neighbors", 2 if subclusters is None else 1)
    _checks.whole(batch_size, "batch_size")
    _checks.whole(min_cells, "min_cells", 2)
    _checks.positive(max_cells, "max_cells")
    _checks.whole(n_random, "n_random", 0)
    _checks.seed(random_state)
    _checks.number(resolution, "resolution", above=True)
    if keys.subcluster in (groupby, subclusters):
        raise ValueError(
            f"key_added={key_added!r} would write to obs[{keys.subcluster!r}], which is read: "
            "choose another name."
        )
    keys.require_free(adata)
    codes, names = _groups(adata, groupby)
    _storable.text(names, f"groups of adata.obs[{groupby!r}]", "Rename them.")
    given = None
    if subclusters is not None:
        column = _checks.column_of(adata, subclusters)
        given = _columns.labels_of(column, f"adata.obs[{subclusters!r}]")
        _check_subclusters(given, subclusters, codes, names)

    # scvi-tools takes seconds to import: only this call waits for it.
    from ace.model.adapter import LatentSpaceAdapter
    from ace.model.adapter._swapped_cells import SwappedCells

    adapter = LatentSpaceAdapter(model, adata)
    sets = _gene_sets(adata, genes, adapter.genes, names)
    latent = adapter.latent()
    columns = _dimensions(dimensions, latent.shape[1])
    latent = latent[:, columns]
    labels = np.full(adata.n_obs, None, dtype=object)
    pairs, categories = [], []
    for code, name in enumerate(names):
        rows = np.flatnonzero((codes == code) & (True if given is None else given.codes >= 0))
        if name not in sets or len(rows) < max(2 * min_cells, n_neighbors + 1):
            continue
        if given is None:
            parts = _leiden(latent[rows], resolution, n_neighbors, random_state)
        else:
            parts = given[rows].remove_unused_categories()
        subnames = [_subname(name, part) for part in parts.categories]
        labels[rows] = np.array(subnames, dtype=object)[parts.codes]
        categories += subnames
        rng = np.random.default_rng([random_state, code])
        swaps = draw_swaps(parts.codes.astype(np.int64), min_cells, max_cells, rng)
        if not swaps.pairs:
            continue
        draws = random_sets(sets[name], len(adapter.genes), n_random, rng, name)
        cells = SwappedCells(adapter, rows, batch_size=batch_size)
        neighbors = fit_neighbors(latent[rows], parts.codes, n_neighbors)
        scores = [
            swaps.score(
                neighbors.predict(cells.embed(swaps.cells, swaps.donors, drawn)[:, columns])
            )
            for drawn in (sets[name], *draws)
        ]
        pairs.append(_frame(name, subnames, swaps, np.array(scores)))
        logger.info("%s: %d pairs of subclusters", name, len(swaps.pairs))
    if not pairs:
        raise ValueError(
            f"no group of adata.obs[{groupby!r}] has two subclusters of {min_cells} or more "
            "cells. Take smaller ones (min_cells=...) or more of them (resolution=...)."
        )
    frame = pd.concat(pairs, ignore_index=True)
    for column, known in (
        ("group", names),
        ("subcluster_1", categories),
        ("subcluster_2", categories),
    ):
        frame[column] = pd.Categorical(frame[column], categories=known)
    if len(frame) < FEW_PAIRS:
        warn(
            f"there are only {len(frame)} pairs of subclusters, so that their scores depend on "
            "which happened to be found. A finer clustering (resolution=...) gives more.",
        )
    written = keys.write(
        written_to,
        subcluster=pd.Categorical(labels, categories=categories),
        embedding=latent,
        about={
            "pairs": frame,
            "genes": _gene_frame(sets, adapter.genes, by_group=isinstance(genes, Mapping)),
            "params": {
                "model": type(model).__name__,
                "groupby": groupby,
                "subclusters": subclusters,
                "dimensions": columns,
                "resolution": float(resolution),
                "n_neighbors": n_neighbors,
                "min_cells": min_cells,
                "max_cells": max_cells,
                "n_random": n_random,
                "random_state": random_state,
            },
        },
    )
    logger.info(
        "mean score %.2f of %d pairs; added %s",
        frame["fssf"].mean(),
        len(frame),
        ", ".join(written),
    )


def _leiden(
    z: np.ndarray, resolution: float, n_neighbors: int, random_state: int
) -> pd.Categorical:
    """Cluster cells in their latent space."""
    cells = AnnData(z)
    sc.pp.neighbors(cells, n_neighbors=n_neighbors, use_rep="X", random_state=random_state)
    sc.tl.leiden(
        cells,
        resolution=resolution,
        flavor="igraph",
        n_iterations=2,
        directed=False,
        random_state=random_state,
    )
    return cells.obs["leiden"].array


def _groups(adata: AnnData, groupby: str) -> tuple[np.ndarray, list[str]]:
    """Codes and names of the groups; one is enough, and warnings point to the user's call."""
    return _checks.groups_of(adata, groupby, at_least=1)


def _check_subclusters(
    given: pd.Categorical, column: str, codes: np.ndarray, names: Sequence[str]
) -> None:
    """Raise if subclusters cannot be stored, or two of them would have one name."""
    known = (codes >= 0) & (given.codes >= 0)
    both = np.unique(np.stack([codes[known], given.codes[known]]), axis=1).T
    parts = [_subname(names[group], given.categories[part]) for group, part in both]
    _storable.text(parts, f"subclusters of adata.obs[{column!r}]", "Rename them.")
    _checks.distinct(parts, sorted(parts))


def _subname(group: str, part: Any) -> str:
    return f"{group}:{part}"


def _dimensions(dimensions: Sequence[int] | slice | None, n_latent: int) -> np.ndarray:
    """Dimensions of the latent space as numbers."""
    every = np.arange(n_latent)
    try:
        chosen = every if dimensions is None else every[dimensions]
    except (IndexError, TypeError):
        chosen = every[:0]
    if chosen.ndim != 1 or len(chosen) == 0:
        raise ValueError(
            f"dimensions must be some of the {n_latent} of the latent space, from 0, or a slice, "
            f"got {dimensions!r}."
        )
    return chosen


def _gene_sets(
    adata: AnnData,
    genes: Sequence[str] | str | Mapping[str, Sequence[str]],
    known: Sequence[str],
    names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Positions of each group's genes among those of the model."""
    index = pd.Index(known)
    if isinstance(genes, Mapping):
        for group in genes:
            _checks.one_of(str(group), "a group of genes", names)
        _checks.distinct([str(group) for group in genes], list(genes))
        return {str(g): _checks.known_genes(own, index, "model") for g, own in genes.items()}
    if isinstance(genes, str):
        if genes not in adata.var:
            raise KeyError(
                f"there is no Boolean column {genes!r} in adata.var, which has "
                f"{listed(adata.var.columns)}. Names of genes go in a list: [{genes!r}]."
            )
        column = _columns.column_of(adata.var, genes, "adata.var")
        genes = list(adata.var_names[_columns.flags_of(column, f"adata.var[{genes!r}]")])
    return dict.fromkeys(names, _checks.known_genes(genes, index, "model"))


def _frame(group: str, subnames: list[str], swaps: Swaps, scores: np.ndarray) -> pd.DataFrame:
    """Rows of a group's pairs; the first row of scores is of the genes, others of the draws."""
    own, random = scores[0], scores[1:]
    n_random = len(random)
    nothing = np.full(len(own), np.nan)
    # Draws of equal scores must not differ by the last bit of a division.
    as_good = (random >= own - 1e-9).sum(axis=0)
    return pd.DataFrame(
        {
            "group": group,
            "subcluster_1": [subnames[a] for a, _ in swaps.pairs],
            "subcluster_2": [subnames[b] for _, b in swaps.pairs],
            "n_cells": swaps.n_cells,
            "fssf": own,
            "random_mean": random.mean(axis=0) if n_random else nothing,
            "random_sd": random.std(axis=0, ddof=1) if n_random > 1 else nothing,
            "p_value": (1 + as_good) / (1 + n_random) if n_random else nothing,
        }
    )


def _gene_frame(
    sets: dict[str, np.ndarray], known: Sequence[str], *, by_group: bool
) -> pd.DataFrame:
    names = np.array(known, dtype=object)
    if not by_group:
        return pd.DataFrame({"gene": names[next(iter(sets.values()))]})
    groups = np.repeat(np.array(list(sets), dtype=object), [len(own) for own in sets.values()])
    return pd.DataFrame({"gene": names[np.concatenate(list(sets.values()))], "group": groups})
