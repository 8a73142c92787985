"""Transfer of labels in one call."""

from __future__ import annotations

import difflib
import inspect
import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace import _checks, _columns, _storable
from ace._keys import DEFAULT_ANNOTATION_KEY, AnnotationKeys
from ace._objects import Cells, cells_of, is_mudata
from ace._warn import warn
from ace.tl._pool import Pool, pool_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.model import SCNYM

logger = logging.getLogger(__name__)

#: A progress bar appears by itself from so many cells on.
MANY_CELLS = 10_000
#: What a cluster without a clear majority is called, as by celltypist.
HETEROGENEOUS = "Heterogeneous"


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
    random_state: int = 0,
    progress: bool | None = None,
    **train_options: Any,
) -> SCNYM:
    """Label cells as other cells are labelled, and say which of them are of no known type.

    Trains :class:`ace.model.SCNYM` on labelled and unlabelled cells together: those of one
    object, ``annotate(adata, "cell_type")``, or of two, ``annotate(query, "cell_type",
    reference=atlas)``. In one object, cells with a label keep it. Of two, every cell of the first
    is labelled, by the labels of the second.

    Parameters
    ----------
    adata
        Annotated data, log-normalised (log1p of counts scaled to 10⁴ per cell), or a MuData with
        such a modality. In memory or on disk, sparse or dense. Only the keys below are changed.
        The model is trained on a sparse copy of the chosen genes.
    labels_key
        Column of ``obs`` with the labels: of ``reference`` if that is given (a column of the same
        name in ``adata`` is then neither read nor changed), else of ``adata``.
    reference
        Labelled cells, normalised as those of ``adata``. Genes are matched by name: those of both
        are used, in the order of ``adata``, and none is renamed, filled or scaled. Its own cells
        without a label are left out, with a warning. Never changed.
    unlabeled_category
        Value of cells without a label. A missing value always means that there is none.
    domain_key
        Column of ``obs``, or several, with domains whose differences are to be ignored
        (technology, donor); in both objects. ``None``: labelled and unlabelled cells.
    layer
        Layer to read instead of ``X``; in both objects.
    modality
        Modality of a MuData to read, in both objects if both are MuData. The result is written to
        ``adata.mod[modality]``. Columns are looked up in its ``obs`` first, then in that of the
        MuData.
    n_top_genes
        Number of genes to train on: those that vary most within the domains, by
        :func:`scanpy.pp.highly_variable_genes`. ``None``: all (shared) genes.
    over_clustering
        Column of ``adata.obs`` with fine clusters, such as ``"leiden"``. Each of them then gets
        the label that most of its newly labelled cells have.
    min_prop
        Share of these cells that the label needs; else the cluster is ``"Heterogeneous"``.
    preset
        What is known about the unlabelled cells: ``"default"``: all are of types that are among
        the labels; ``"new_identity"``: some may not be; see :meth:`ace.model.SCNYM.train`.
    max_epochs
        Epochs of the training; ``None`` leaves it to the preset.
    model_kwargs
        Arguments of :class:`ace.model.SCNYM`: ``n_hidden``, ``n_layers``, ``dropout_rate``, ...
    key_added
        Name of the result. An annotation that lies under it is overwritten; nothing else is.
    random_state
        Seed. The same call gives the same bits.
    progress
        Show a progress bar; ``None``: only for 10 000 cells or more.
    **train_options
        Further arguments of :meth:`ace.model.SCNYM.train`: ``batch_size``, ``accelerator``,
        ``plan_kwargs``, ...

    Returns
    -------
    The trained model. It reads other objects by the names of genes, so that
    ``model.predict(adata)`` and ``ace.tl.explain(adata, groupby="scnym", model=model)`` work; its
    own cells are those of ``adata``, then those of ``reference``. Written are, to ``adata`` only,

    ``obs[key_added]``
        Label of each cell: the given one, or else the predicted one (categorical).
    ``obs[key_added + "_given"]``
        Whether it was given.
    ``obs[key_added + "_confidence"]``
        Calibrated probability of that label. Of a label that was given it is the network's, too:
        a low one is a reason to doubt the label.
    ``obs[key_added + "_novelty"]``
        How little the cell is like any known type, see :meth:`ace.model.SCNYM.novelty`.
    ``obs[key_added + "_novel"]``
        Whether that is above the threshold, which 95 % of labelled cells held out are not. Never
        true of a cell that had a label.
    ``obs[key_added + "_majority"]``
        With ``over_clustering``: the vote of its cluster. Cells that had a label keep it. Numeric
        labels become strings if a cluster is ``"Heterogeneous"``.
    ``obsm[key_added + "_probabilities"]``
        Probability of each label, cells × labels. A ``/`` in a label becomes ``|`` in the column's
        name, because anndata ≥ 0.13 does not store columns with a ``/``. If the labels cannot be
        stored as columns (longer than 200 bytes, or more than 4000), it is an array, and
        ``uns[key_added]["labels"]`` has the names of its columns.
    ``obsm["X_" + key_added]``
        The model's embedding.
    ``uns[key_added]``
        ``params``, with the number of genes that were shared (``n_shared_genes``) and trained on
        (``n_genes``); ``novelty_threshold`` (NaN without cells held out, and no cell is then
        novel); ``temperature``, which the logits are divided by; and, if there are cells held out,
        ``evaluation``, numbers of :meth:`ace.model.SCNYM.evaluate` on labelled cells held out;
        ``reliability``, the frame of :meth:`ace.model.SCNYM.get_calibration` on these, whose error
        is the ``ece`` of the evaluation.

    Raises
    ------
    KeyError
        If a column or the layer does not exist.
    TypeError
        If an object is not an AnnData or MuData, an option of the training is unknown, or
        ``key_added`` or ``unlabeled_category`` has a type that cannot be stored.
    ValueError
        If no cell lacks a label, there are fewer than two labels, the matrices certainly
        are not log-normalised, gene names repeat or are missing, too few are shared, values are
        NaN or infinite, an argument is out of range, a MuData needs a ``modality``, an object is a
        view of a file or was opened lazily, or a name (of a label, a gene, the result) cannot be
        stored in a file. Nothing is written in these cases.

    Warns
    -----
    UserWarning
        If values may not be log-normalised, totals of the cells show that they were normalised
        differently, more than half of the shorter list of genes is lost or fewer than 100 are
        shared, cells of the reference have no label, a label looks like the lack of one, or there
        are too few labelled cells to hold some out to calibrate the confidence.

    See Also
    --------
    ace.pl.confusion, ace.pl.confidence, ace.pl.reliability : draw the result.

    Examples
    --------
    >>> import ace
    >>> cells = ace.datasets.pbmc68k()
    >>> atlas, query = cells[::2].copy(), cells[1::2].copy()
    >>> model = ace.tl.annotate(query, "bulk_labels", reference=atlas, max_epochs=5)
    >>> bool(query.obs["scnym"].isin(atlas.obs["bulk_labels"]).all())
    True
    """
    if reference is not None and reference is adata:
        raise ValueError("reference is adata itself: leave it out to label cells of one object.")
    query, reference = _read(adata, reference, modality)
    adata = query.adata
    keys = AnnotationKeys(_storable.key(key_added))
    domains = _checks.column_names(domain_key, "domain_key")
    _checks.positive(n_top_genes, "n_top_genes")
    _checks.positive(max_epochs, "max_epochs")
    _checks.seed(random_state)
    _checks.category(unlabeled_category, "unlabeled_category")
    stored = _storable.plain(unlabeled_category, "unlabeled_category")
    if not isinstance(stored, str | int | float) or pd.isna(stored):
        raise ValueError(
            f"unlabeled_category={unlabeled_category!r} is no value: missing ones mean that "
            "there is no label in any case. Name the category, or leave it out."
        )
    _checks.share(min_prop, "min_prop")
    read = [labels_key, *domains, over_clustering]
    for column in keys.columns:
        if column in read:
            raise ValueError(
                f"key_added={key_added!r} would write to obs[{column!r}], which is read: choose "
                "another name."
            )
    keys.require_free(adata)
    clusters = None
    if over_clustering is not None:
        column = _checks.column_of(adata, over_clustering)
        clusters = _columns.labels_of(column, f"adata.obs[{over_clustering!r}]").codes
        clusters = np.where(clusters < 0, np.nan, clusters)  # of no cluster
    pool = pool_cells(
        adata,
        reference,
        labels_key,
        unlabeled_category=unlabeled_category,
        domain_key=domains,
        layer=layer,
        n_top_genes=n_top_genes,
        random_state=random_state,
    )

    # scvi-tools takes seconds to import: only this call waits for it.
    from ace.model import SCNYM

    _known_options(SCNYM, model_kwargs or {}, train_options)

    SCNYM.setup_anndata(
        pool.adata,
        labels_key,
        unlabeled_category=unlabeled_category,
        domain_key=list(domains) or None,
    )
    model = SCNYM(pool.adata, **{"random_state": random_state, **(model_kwargs or {})})
    if progress is None:
        progress = pool.adata.n_obs >= MANY_CELLS
    model.train(max_epochs, **{"preset": preset, "enable_progress_bar": progress, **train_options})

    columns, probabilities, embedding = _answers(model, pool, adata.obs_names, keys)
    about = _about(model) | {
        "params": {
            "labels_key": labels_key,
            "reference": reference is not None,
            "unlabeled_category": unlabeled_category,
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
    }
    if len(model.validation_indices) < 20:
        warn(
            f"{len(model.validation_indices)} labelled cells were held out, too few to tell how "
            f"sure to be: take confidence and novelty of {keys.key!r} with caution, or hold out "
            "more (validation_size=0.2).",
        )
    new = pool.given.isna()
    if clusters is not None:
        columns[keys.majority] = majority_vote(
            columns[keys.label], clusters, new, min_prop=min_prop
        )
    written = keys.write(
        query.written,
        columns=columns,
        probabilities=probabilities,
        embedding=embedding,
        about=about,
    )
    logger.info(
        "labelled %d cells by %d genes, %d of them novel; added %s",
        new.sum(), pool.adata.n_vars, columns[keys.novel].sum(), ", ".join(written),
    )  # fmt: skip
    return model


def _read(
    adata: AnnData | MuData, reference: AnnData | MuData | None, modality: str | None
) -> tuple[Cells, AnnData | None]:
    """Return the cells to annotate and those of the reference; either may be a MuData."""
    if reference is None:
        return cells_of(adata, modality), None
    other = modality if is_mudata(reference) else None
    own = None if is_mudata(reference) and not is_mudata(adata) else modality
    return cells_of(adata, own, name="query"), cells_of(reference, other, name="reference").adata


def _known_options(
    model: type[SCNYM], model_kwargs: dict[str, Any], train_options: dict[str, Any]
) -> None:
    """Raise for options that neither the network, the training nor the trainer has."""
    from lightning.pytorch import Trainer as LightningTrainer
    from scvi.train import Trainer

    network = set(inspect.signature(model.__init__).parameters) - {"self", "adata", "registry"}
    training = {
        name
        for call in (model.train, Trainer.__init__, LightningTrainer.__init__)
        for name in inspect.signature(call).parameters
    }
    for options, known, name in (
        (model_kwargs, network, "model_kwargs"),
        (train_options, training - {"self", "kwargs", "trainer_kwargs"}, "annotate"),
    ):
        for option in options:
            if option in known:
                continue
            hint = f" Pass model_kwargs={{{option!r}: ...}}." if option in network else ""
            near = difflib.get_close_matches(option, known, n=1)
            hint = hint or (f" Did you mean {near[0]!r}?" if near else "")
            raise TypeError(f"{name} has no option {option!r}.{hint}")


def _answers(
    model: SCNYM, pool: Pool, names: pd.Index, keys: AnnotationKeys
) -> tuple[dict[str, Any], pd.DataFrame, np.ndarray]:
    """What the model says of the cells that are annotated."""
    rows = np.arange(pool.n_query)
    soft: Any = model.predict(indices=rows, soft=True)
    probabilities = soft.set_axis(names).astype(np.float32)
    given = pool.given.codes.astype(np.int64)
    codes = np.where(given >= 0, given, probabilities.to_numpy().argmax(axis=1))
    novelty = model.novelty(indices=rows).astype(np.float32)
    threshold = _threshold(model)
    columns = {
        # The categories of the labels are the model's classes, in the same order. What no cell
        # got is left out, as it is no group to draw or to explain.
        keys.label: pd.Categorical.from_codes(
            codes, dtype=pool.given.dtype
        ).remove_unused_categories(),
        keys.given: given >= 0,
        keys.confidence: probabilities.to_numpy()[rows, codes],
        keys.novelty: novelty,
        keys.novel: (novelty > threshold) & (given < 0),
    }
    embedding = model.get_latent_representation(indices=rows).astype(np.float32)
    return columns, probabilities, embedding


def _threshold(model: SCNYM) -> float:
    """Threshold of novelty; NaN, which no score is above, without cells held out to choose it."""
    return math.nan if model.novelty_threshold_ is None else float(model.novelty_threshold_)


def _about(model: SCNYM) -> dict[str, Any]:
    """How good the model is on labelled cells held out."""
    about: dict[str, Any] = {
        "novelty_threshold": _threshold(model),
        "temperature": float(model.temperature_),
    }
    if len(model.validation_indices):
        numbers = model.evaluate(split="validation")
        about["evaluation"] = {k: v for k, v in numbers.items() if isinstance(v, int | float)}
        about["reliability"] = model.get_calibration(split="validation")["reliability"]
    return about


def majority_vote(
    labels: pd.Categorical, clusters: np.ndarray, voters: np.ndarray, *, min_prop: float = 0.0
) -> pd.Categorical:
    """Give each voter the label that most voters of its cluster have.

    Parameters
    ----------
    labels
        Label of each cell.
    clusters
        Cluster of each cell; cells without one keep their label.
    voters
        Which cells vote; the others keep their label.
    min_prop
        Share of its voters that a cluster's label needs; else it is ``"Heterogeneous"``.

    Returns
    -------
    Labels; of two with as many votes, the first in the order of the categories.
    """
    cluster, names = pd.factorize(clusters)
    voters = voters & (cluster >= 0)
    categories = labels.categories
    if HETEROGENEOUS not in categories:
        categories = categories.insert(len(categories), HETEROGENEOUS)
    n_labels = len(labels.categories)
    cell = cluster[voters] * n_labels + labels.codes[voters]
    votes = np.bincount(cell, minlength=len(names) * n_labels).reshape(len(names), n_labels)
    # A share of exactly min_prop is enough, whatever floating-point division makes of it.
    enough = votes.max(axis=1) >= min_prop * votes.sum(axis=1) - 1e-9
    winner = np.where(enough, votes.argmax(axis=1), categories.get_loc(HETEROGENEOUS))
    codes = labels.codes.astype(np.int64)
    codes[voters] = winner[cluster[voters]]
    voted = pd.Categorical.from_codes(codes, categories=categories).remove_unused_categories()
    # Files cannot store numbers and strings in one column.
    return voted.rename_categories(str) if HETEROGENEOUS in voted.categories else voted
