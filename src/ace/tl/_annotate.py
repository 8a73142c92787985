"""Transfer labels to unlabelled cells in one call."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace import _checks
from ace._checks import _columns, _storable
from ace._checks._objects import Cells, cells_of, is_mudata
from ace._docs import doc_params
from ace._keys import DEFAULT_ANNOTATION_KEY, AnnotationKeys
from ace._log import report
from ace.tl import _texts
from ace.tl._annotate_options import require_known_options
from ace.tl._annotation import annotation, quality
from ace.tl._copying import require_copyable
from ace.tl._pool import pool_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.model import SCNYM

logger = logging.getLogger(__name__)

#: Number of cells from which a progress bar is shown by default.
MANY_CELLS = 10_000


@doc_params(copy=_texts.COPY, random_state=_texts.RANDOM_STATE)
def annotate(
    adata: AnnData | MuData,
    labels_key: str,
    *,
    reference: AnnData | MuData | None = None,
    unlabeled_category: str | int = "Unknown",
    domain_key: str | Sequence[str] | None = None,
    layer: str | None = None,
    modality: str | None = None,
    n_top_genes: int | None = 2000,
    over_clustering: str | None = None,
    min_prop: float = 0.0,
    preset: str = "default",
    max_epochs: int | None = None,
    model_kwargs: dict[str, Any] | None = None,
    key_added: str = DEFAULT_ANNOTATION_KEY,
    copy: bool = False,
    return_model: bool = False,
    random_state: int = 0,
    progress: bool | None = None,
    **train_options: Any,
) -> AnnData | MuData | SCNYM | tuple[AnnData | MuData, SCNYM] | None:
    """Transfer labels to unlabelled cells, and detect cells of types without a label.

    Trains :class:`ace.model.SCNYM` on labelled and unlabelled cells together. Both can be in one
    object, ``annotate(adata, "cell_type")``, in which labelled cells keep their label; or in two,
    ``annotate(query, "cell_type", reference=atlas)``, which labels every cell of the first object.

    Parameters
    ----------
    adata
        Annotated data, log-normalised (log1p of counts scaled to 10⁴ per cell), or a MuData with
        such a modality; in memory or on disk, sparse or dense. Only the keys below are changed.
        The model is trained on a sparse copy of the chosen genes.
    labels_key
        Column of ``obs`` with the labels, of ``reference`` if it is given (a column of that name
        in ``adata`` is then neither read nor changed), otherwise of ``adata``.
    reference
        Labelled cells, normalised like those of ``adata``. Genes are matched by name; those in
        both objects are used, in the order of ``adata``. Genes are not renamed, imputed or scaled.
        Unlabelled cells of the reference are left out, with a warning. Never changed.
    unlabeled_category
        Value of unlabelled cells in ``labels_key``, in addition to missing values.
    domain_key
        Column of ``obs``, or several, with domains whose differences are to be ignored
        (technology, donor), in both objects. ``None`` for labelled and unlabelled cells.
    layer
        Layer to read instead of ``X``, in both objects.
    modality
        Modality of a MuData to read, in both objects if both are MuData. The result is written to
        ``adata.mod[modality]``. Columns are looked up first in its ``obs``, then in that of the
        MuData.
    n_top_genes
        Number of genes to train on: the most variable ones within the domains, by
        :func:`scanpy.pp.highly_variable_genes`. ``None`` for all (shared) genes.
    over_clustering
        Column of ``adata.obs`` with fine clusters, such as ``"leiden"``. Each cluster then gets
        the most frequent label of its newly labelled cells.
    min_prop
        Share of these cells that must have the label; otherwise the cluster is
        ``"Heterogeneous"``.
    preset
        Assumption about the unlabelled cells: ``"default"`` if all of their types are among the
        labels, ``"new_identity"`` if some may not be. See :meth:`ace.model.SCNYM.train`.
    max_epochs
        Number of epochs; ``None`` for that of the preset.
    model_kwargs
        Arguments of :class:`ace.model.SCNYM`: ``n_hidden``, ``n_layers``, ``dropout_rate``, ...
    key_added
        Name of the result. An existing annotation with this name is overwritten; anything else
        raises an error.
    {copy}
    return_model
        Return the trained model. It matches genes by name, so it can be used for other objects:
        ``model.predict(adata)``, ``ace.tl.explain(adata, groupby="scnym", model=model)``. Its own
        cells are those of ``adata``, followed by those of ``reference``.
    {random_state}
    progress
        Show a progress bar; ``None`` only for 10 000 cells or more.
    **train_options
        Further arguments of :meth:`ace.model.SCNYM.train`: ``batch_size``, ``accelerator``,
        ``plan_kwargs``, ...

    Returns
    -------
    ``None``; the copy, with ``copy=True``; the model, with ``return_model=True``; or the copy and
    the model, with both. The following is written:

    ``obs[key_added]``
        Label of each cell, given or predicted (categorical).
    ``obs[key_added + "_given"]``
        Whether the label was given.
    ``obs[key_added + "_confidence"]``
        Calibrated probability of that label. It is predicted for given labels, too, and low values
        indicate that they may be wrong.
    ``obs[key_added + "_novelty"]``
        Dissimilarity of the cell to all known types, see :meth:`ace.model.SCNYM.novelty`.
    ``obs[key_added + "_novel"]``
        Whether the novelty is above a threshold that 95 % of held-out labelled cells are below.
        Always false for cells with a given label.
    ``obs[key_added + "_majority"]``
        With ``over_clustering``: the label of the cluster of the cell. Cells with a given label
        keep it. Numeric labels become strings if a cluster is ``"Heterogeneous"``.
    ``obsm[key_added + "_probabilities"]``
        Probability of each label, cells × labels. A ``/`` in a label becomes ``|`` in the column
        name, because anndata ≥ 0.13 does not store columns with a ``/``. If the labels cannot be
        stored as columns (longer than 200 bytes, or more than 4000), it is an array, and
        ``uns[key_added]["labels"]`` has the names of its columns.
    ``obsm["X_" + key_added]``
        Latent space of the model.
    ``uns[key_added]``
        ``params``, including the number of genes that both objects have (``n_shared_genes``) and
        that the model was trained on (``n_genes``); ``novelty_threshold`` (NaN without held-out
        cells; no cell is then novel); ``temperature``, by which the logits are divided; and, if
        cells are held out, ``evaluation``, the numbers of :meth:`ace.model.SCNYM.evaluate` for
        them, and ``reliability``, the frame of :meth:`ace.model.SCNYM.get_calibration`, whose
        error is the ``ece`` of the evaluation.

    Raises
    ------
    KeyError
        If a column or the layer does not exist.
    TypeError
        If an object is not an AnnData or MuData, an option of the training is unknown, or
        ``key_added`` or ``unlabeled_category`` has a type that cannot be stored.
    ValueError
        If there are no unlabelled cells; there are fewer than two labels; the matrices are not
        log-normalised; gene names repeat or are missing; too few genes are shared; values are NaN
        or infinite; an argument is out of range; ``modality`` is missing; an object is a view of a
        file or was opened lazily; or a name (of a label, a gene or the result) cannot be stored in
        a file. Nothing is written in these cases.

    Warns
    -----
    UserWarning
        If values may not be log-normalised; cells were normalised to different totals; more than
        half of the shorter list of genes is left out, or fewer than 100 genes are shared; cells of
        the reference are unlabelled; a label looks like a missing label; or too few labelled cells
        are held out to calibrate the confidence.

    See Also
    --------
    ace.pl.confusion, ace.pl.confidence, ace.pl.reliability : draw the result.

    Examples
    --------
    >>> import ace
    >>> cells = ace.datasets.pbmc68k_reduced()
    >>> atlas, query = cells[::2].copy(), cells[1::2].copy()
    >>> ace.tl.annotate(query, "bulk_labels", reference=atlas, max_epochs=5)
    >>> bool(query.obs["scnym"].isin(atlas.obs["bulk_labels"]).all())
    True
    """
    if reference is not None and reference is adata:
        raise ValueError("reference is adata itself: leave it out to label cells of one object.")
    _checks.not_raw(train_options.pop("use_raw", None))
    _checks.no_aliases(train_options, inspect.signature(annotate).parameters, "annotate")
    query, labelled = _read(adata, reference, modality)
    require_copyable(query, copy)
    _check_arguments(n_top_genes, max_epochs, random_state, unlabeled_category, min_prop)
    domains = _checks.column_names(domain_key, "domain_key")
    keys = _keys(query.adata, key_added, [labels_key, *domains, over_clustering])
    clusters = None if over_clustering is None else _clusters(query.adata, over_clustering)
    pool = pool_cells(
        query.adata,
        labelled,
        labels_key,
        unlabeled_category=unlabeled_category,
        domain_key=domains,
        layer=layer,
        n_top_genes=n_top_genes,
        random_state=random_state,
    )

    # scvi-tools takes seconds to import, so it is imported only here.
    from ace.model import SCNYM

    network = {"random_state": random_state, **(model_kwargs or {})}
    require_known_options(SCNYM, network, train_options)
    labels: dict[str, Any] = {"labels_key": labels_key, "unlabeled_category": unlabeled_category}
    SCNYM.setup_anndata(pool.adata, **labels, domain_key=list(domains) or None)
    model = SCNYM(pool.adata, **network)
    if progress is None:
        progress = pool.adata.n_obs >= MANY_CELLS
    model.train(max_epochs, **{"preset": preset, "enable_progress_bar": progress, **train_options})

    found = annotation(model, pool, query.adata.obs_names, keys, clusters, min_prop)
    params = labels | {
        "reference": labelled is not None,
        "domain_key": list(domains) or None,
        "layer": layer,
        "n_top_genes": n_top_genes,
        "n_shared_genes": pool.n_shared_genes,
        "n_genes": pool.adata.n_vars,
        "over_clustering": over_clustering,
        "min_prop": float(min_prop),
        "preset": preset,
        "max_epochs": max_epochs,
        "random_state": random_state,
        "model": type(model).__name__,
    }
    about = quality(model, keys.key) | {"params": params}
    query = query.copied() if copy else query
    written = keys.write(query.written, about=about, **found)
    report(
        logger,
        "labelled %d cells by %d genes, %d of them novel; added %s",
        pool.given.isna().sum(), pool.adata.n_vars, found["columns"][keys.novel].sum(),
        ", ".join(written),
    )  # fmt: skip
    if return_model:
        return (query.whole, model) if copy else model
    return query.whole if copy else None


def _read(
    adata: AnnData | MuData, reference: AnnData | MuData | None, modality: str | None
) -> tuple[Cells, AnnData | None]:
    """Return the cells to annotate and those of the reference; either may be a MuData."""
    if reference is None:
        return cells_of(adata, modality), None
    other = modality if is_mudata(reference) else None
    own = None if is_mudata(reference) and not is_mudata(adata) else modality
    return cells_of(adata, own, name="query"), cells_of(reference, other, name="reference").adata


def _check_arguments(
    n_top_genes: Any, max_epochs: Any, random_state: Any, unlabeled_category: Any, min_prop: Any
) -> None:
    _checks.positive(n_top_genes, "n_top_genes")
    _checks.positive(max_epochs, "max_epochs")
    _checks.seed(random_state)
    _checks.category(unlabeled_category, "unlabeled_category")
    stored = _storable.plain(unlabeled_category, "unlabeled_category")
    if not isinstance(stored, str | int | float) or pd.isna(stored):
        raise ValueError(
            f"unlabeled_category={unlabeled_category!r} must be a string or a number. Missing "
            "values always mark unlabelled cells: leave it out if there are no others."
        )
    _checks.share(min_prop, "min_prop")


def _keys(adata: AnnData, key_added: Any, read: list[str | None]) -> AnnotationKeys:
    """Return the keys, if they are free and none of the columns that are read is one of them."""
    keys = AnnotationKeys(_storable.key(key_added))
    for column in keys.columns:
        if column in read:
            raise ValueError(
                f"key_added={key_added!r} would write to obs[{column!r}], which is read: choose "
                "another name."
            )
    keys.require_free(adata)
    return keys


def _clusters(adata: AnnData, over_clustering: str) -> np.ndarray:
    """Cluster of each cell; NaN for cells without a cluster."""
    column = _checks.column_of(adata, over_clustering)
    codes = _columns.labels_of(column, f"adata.obs[{over_clustering!r}]").codes
    return np.where(codes < 0, np.nan, codes)
