"""Descriptions of parameters that the methods of several models share."""

CELLS = """
adata
    Cells; ``None`` for those of the model. Genes are matched by name, and nothing is written.
indices
    Rows (or a Boolean mask) of the cells; ``None`` for all.
"""

BATCH_SIZE = """
batch_size
    Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.
"""

READING_ERRORS = """
RuntimeError
    If the model is not trained.
ValueError
    If genes are missing, or values are NaN, infinite, or of another kind than those that the
    model was trained on.
"""

READING_WARNINGS = """
UserWarning
    If the values may be of another kind than those that the model was trained on, or were
    normalised to another total.
"""

# -- set-up ------------------------------------------------------------------------------------

LAYER = """
layer
    Layer with log-normalised expression, ``None`` for ``X``.
"""

UNLABELED_CATEGORY = """
unlabeled_category
    Value of ``labels_key`` in cells without a label; ``None`` if every cell has one. The category
    need not occur.
"""

SETUP_KWARGS = """
**kwargs
    Used when a saved model is loaded.
"""

SETUP_ERRORS = """
KeyError
    If a column or the layer does not exist.
ValueError
    If values of a column are missing, there are fewer than two classes, gene names are not
    unique, cells have values of different kinds, or ``adata`` is a view.
"""

LOG_WARNINGS = """
UserWarning
    If the values are counts (with or without decimals) or have no logarithm, or if cells
    were normalised differently.
"""

MODALITIES = """
modalities
    Modality of each argument: ``{"layer": "rna"}`` reads the matrix of that modality. Columns are
    looked up in ``mdata.obs``, unless the modality of their argument is given too
    (``"labels_key": "rna"``).
"""

MUDATA_ERRORS = """
ValueError
    If ``modalities`` does not name the modality of ``layer``, if a modality does not have
    the same cells as ``mdata`` in the same order, or as in :meth:`setup_anndata`.
"""

# -- construction and training -----------------------------------------------------------------

INIT_DATA = """
adata
    AnnData set up with :meth:`setup_anndata`, or MuData set up with :meth:`setup_mudata`.
registry
    Registry of a saved model; used by :meth:`load`.
"""

INIT_RANDOM_STATE = """
random_state
    Seed of the initial weights, and the default seed of :meth:`train`. ``None``:
    ``scvi.settings.seed``, or 0 if that is not set.
"""

HARDWARE = """
accelerator
    Lightning's name of the hardware.
devices
    Devices to train on, as in Lightning. With several (``devices=2, strategy="ddp"``),
    each minibatch is split between them; see :ref:`several-processes`.
"""

SPLIT_SIZES = """
train_size
    Fraction of the cells to train on; ``None`` for 0.9.
validation_size
    Fraction to validate on; ``None`` for the rest.
"""

EXTERNAL_INDEXING = """
external_indexing
    Your own split: rows of the training, validation and test cells. Cells may be left out.
"""

ADAM = """
lr
    Learning rate of Adam.
weight_decay
    Weight decay of Adam.
"""

TRAINER = """
**trainer_kwargs
    Passed to :class:`scvi.train.Trainer`: ``enable_progress_bar``, ``callbacks``,
    ``early_stopping_min_delta``, ``logger``, ``strategy``, ``ckpt_path`` (a Lightning
    checkpoint to resume from), …
"""

PATIENCE = """
early_stopping_patience
    Number of epochs without improvement after which training stops.
"""

TRAIN_ERRORS = """
RuntimeError
    If the training diverges. After any error, and after Ctrl-C, the model is restored to
    its state before the call.
"""
