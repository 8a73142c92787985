"""Feature-set subcluster founder score of every pair of subclusters, with a random control."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from ace import _checks
from ace._checks import _columns, _storable
from ace._checks._objects import cells_of
from ace._keys import DEFAULT_FSSF_KEY, FssfKeys
from ace._listed import listed
from ace._log import report
from ace.tl._pair_scores import Group, Options, all_pairs, score_pairs
from ace.tl._subclusters import given_subclusters, leiden, subcluster_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from mudata import MuData

    P = ParamSpec("P")
    R = TypeVar("R")

logger = logging.getLogger(__name__)


def _model_by_name(function: Callable[P, R]) -> Callable[P, R]:
    """Suggest the correct call if a model is passed as second argument."""

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if len(args) > 1 and not isinstance(args[1], str):
            raise TypeError(
                "groupby must be the name of a column of adata.obs, got "
                f"{type(args[1]).__name__}. Pass the model by name: "
                "ace.tl.fssf(adata, groupby, genes, model=model)."
            )
        return function(*args, **kwargs)

    return checked


@_model_by_name
def fssf(
    adata: AnnData | MuData,
    groupby: str,
    genes: Sequence[str] | str | Mapping[str, Sequence[str]],
    *,
    model: Any,
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
    r"""Score how much a set of genes determines the subclusters in the latent space of a model.

    The feature-set subcluster founder score (FSSF) of scARE :cite:p:`inecik2023scare`, §2.3. The
    cells of each group (such as a cell type) are clustered in the latent space of the model. For
    every pair of subclusters, each cell gets the values of ``genes`` of a random cell of the
    other subcluster and is embedded again. It is assigned to the subcluster of most of its
    nearest original cells: the one that the genes come from (:math:`n_g` cells), the one that all
    other genes come from (:math:`n_o` cells), or another one. Of all :math:`n_t` swapped cells,

    .. math:: FSSF = \frac{n_g - n_o}{n_t}

    is 1 if the genes determine the subcluster, and -1 if the other genes do. As a control, random
    sets of as many other genes are swapped between the same cells.

    Parameters
    ----------
    adata
        Annotated data with the genes of the model, in the values that it was trained on (counts
        for SCARE and SCVI), or a MuData with such a modality. Only the keys below are changed.
    groupby
        Column of ``obs`` with the groups, such as cell types. For a MuData, a column of the
        modality or of the MuData.
    genes
        Names of genes; the name of a Boolean column of ``var`` (missing values are false); or a
        mapping from groups to names of genes, to use a separate set for each group. Groups that
        are not in the mapping are left out.
    model
        A trained model with a latent space: :class:`ace.model.SCARE` or another model of
        :mod:`ace.model` or scvi-tools, such as :class:`scvi.model.SCVI`. Swapped cells keep their
        own batch and covariates.
    subclusters
        Column of ``obs`` with subclusters, such as time points, to use instead of a clustering.
        Cells with a missing value are left out.
    modality
        Modality of a MuData to read; the result is written to ``mdata.mod[modality]``. ``None``
        for the modality that ``model`` was set up with.
    dimensions
        Latent dimensions to use, such as the block of one of several ground truths. ``None`` for
        all.
    resolution
        Resolution of the Leiden clustering of each group.
    n_neighbors
        Number of neighbours in the clustering, and of original cells that a swapped cell is
        compared with.
    min_cells
        Subclusters with fewer cells are in no pair. Their cells remain neighbours.
    max_cells
        Number of cells of a subcluster to swap at most, drawn at random; ``None`` for all. Limits
        the running time.
    n_random
        Number of random gene sets; 0 for no control.
    batch_size
        Number of swapped cells to embed at once.
    key_added
        Name of the result. Scores stored under this name are overwritten; anything else raises an
        error.
    random_state
        Seed. The same call gives the same result.

    Returns
    -------
    ``None``. Adds the following to ``adata``:

    ``uns[key_added]["pairs"]``
        A row per pair of subclusters, see :func:`ace.get.fssf_df`.
    ``uns[key_added]["genes"]``
        The genes, with their group if each group has its own set.
    ``uns[key_added]["params"]``
        The arguments.
    ``obs[key_added + "_subcluster"]``
        Subcluster of each cell, such as ``"CD4 T:0"`` (categorical); missing in groups that are
        too small for two subclusters.
    ``obsm["X_" + key_added]``
        Latent space in the chosen dimensions.

    Raises
    ------
    KeyError
        If a column or a layer that the model reads does not exist.
    RuntimeError
        If the model is not trained.
    TypeError
        If ``model`` has no latent space that is a function of the genes, ``genes`` are not names,
        or ``key_added`` is not a string.
    ValueError
        If genes of the set are unknown to the model, no group has two subclusters, too few other
        genes are left for random sets, an argument is out of range, or a name (of a group, a
        subcluster, the result) cannot be stored in a file. Nothing is written in these cases.

    Warns
    -----
    UserWarning
        If there are fewer than three pairs of subclusters.

    See Also
    --------
    ace.get.fssf_df : The scores as a data frame.
    ace.pl.fssf, ace.pl.polarization : Plot the scores, and the genes in the latent space.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.model.SCARE.setup_anndata(adata, layer="counts")
    >>> genes = ["CD74", "HLA-DRA", "CD79A"]
    >>> model = ace.model.SCARE(adata, ground_truth=genes)
    >>> model.train(max_epochs=3, enable_progress_bar=False)
    >>> ace.tl.fssf(adata, "phase", genes, model=model, n_random=10)
    >>> bool(ace.get.fssf_df(adata)["fssf"].between(-1, 1).all())
    True
    """
    cells = cells_of(adata, modality, model=model)
    adata = cells.adata
    groupby, subclusters = cells.column(groupby), cells.column(subclusters)
    keys = FssfKeys(_storable.key(key_added))
    # scanpy counts a cell among its own neighbours, so one neighbour would be the cell itself.
    _checks.whole(n_neighbors, "n_neighbors", 2 if subclusters is None else 1)
    _checks.number(resolution, "resolution", above=True)
    options = Options(n_neighbors, min_cells, max_cells, n_random, batch_size, random_state)
    keys.require_not_read(groupby, subclusters)
    keys.require_free(adata)
    codes, names = _checks.groups_of(adata, groupby, at_least=1)
    _storable.text(names, f"groups of adata.obs[{groupby!r}]", "Rename them.")
    given = None if subclusters is None else given_subclusters(adata, subclusters, codes, names)

    # scvi-tools takes seconds to import, so it is imported after the cheap checks.
    from ace.model.adapter import LatentSpaceAdapter

    adapter = LatentSpaceAdapter(model, adata)
    sets = _gene_sets(adata, genes, adapter.genes, names)
    latent = adapter.latent()
    columns = _dimensions(dimensions, latent.shape[1])
    latent = latent[:, columns]

    labels = np.full(adata.n_obs, None, dtype=object)
    categories: list[str] = []
    frames: list[pd.DataFrame] = []
    for code, name in enumerate(names):
        rows = np.flatnonzero((codes == code) & (True if given is None else given.codes >= 0))
        if name not in sets or len(rows) < max(2 * min_cells, n_neighbors + 1):
            continue
        if given is None:
            parts = leiden(latent[rows], resolution, n_neighbors, random_state)
        else:
            parts = given[rows].remove_unused_categories()
        subnames = [subcluster_name(name, part) for part in parts.categories]
        labels[rows] = np.array(subnames, dtype=object)[parts.codes]
        categories += subnames
        group = Group(code, name, rows, parts.codes.astype(np.int64), subnames)
        frames += score_pairs(group, adapter, latent[rows], columns, sets[name], options)
    pairs = all_pairs(frames, names, categories, groupby, min_cells)
    params = {
        "model": adapter.name,
        "groupby": groupby,
        "subclusters": subclusters,
        "dimensions": columns,
        "resolution": float(resolution),
    }
    written = keys.write(
        cells.written,
        subcluster=pd.Categorical(labels, categories=categories),
        embedding=latent,
        about={
            "pairs": pairs,
            "genes": _gene_frame(sets, adapter.genes, by_group=isinstance(genes, Mapping)),
            "params": params | options.stored(),
        },
    )
    mean = pairs["fssf"].mean()
    report(logger, "mean score %.2f of %d pairs; added %s", mean, len(pairs), ", ".join(written))


def _dimensions(dimensions: Sequence[int] | slice | None, n_latent: int) -> np.ndarray:
    """Return the numbers of the chosen latent dimensions."""
    every = np.arange(n_latent)
    try:
        chosen = every if dimensions is None else every[dimensions]
    except (IndexError, TypeError):
        chosen = every[:0]
    if chosen.ndim != 1 or len(chosen) == 0:
        raise ValueError(
            f"dimensions must be numbers of latent dimensions, from 0 to {n_latent - 1}, or a "
            f"slice, got {dimensions!r}."
        )
    return chosen


def _gene_sets(
    adata: AnnData,
    genes: Sequence[str] | str | Mapping[str, Sequence[str]],
    known: Sequence[str],
    names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Return the positions of each group's genes among those of the model."""
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
                f"{listed(adata.var.columns)}. Pass names of genes as a list: [{genes!r}]."
            )
        column = _columns.column_of(adata.var, genes, "adata.var")
        genes = list(adata.var_names[_columns.flags_of(column, f"adata.var[{genes!r}]")])
    return dict.fromkeys(names, _checks.known_genes(genes, index, "model"))


def _gene_frame(
    sets: dict[str, np.ndarray], known: Sequence[str], *, by_group: bool
) -> pd.DataFrame:
    """Return the genes as a frame, with a column for the group if each has its own set."""
    names = np.array(known, dtype=object)
    if not by_group:
        return pd.DataFrame({"gene": names[next(iter(sets.values()))]})
    groups = np.repeat(np.array(list(sets), dtype=object), [len(own) for own in sets.values()])
    return pd.DataFrame({"gene": names[np.concatenate(list(sets.values()))], "group": groups})
