"""Descriptions of parameters that the methods of several models share."""

import re

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
    Used internally when a saved model is loaded.
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
    If the values are counts (with or without decimals) or are not logarithms, or if cells
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
    Hardware to train on, by Lightning's name: ``"cpu"``, ``"gpu"``, ``"auto"``, …
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

# -- methods that are the same for all models --------------------------------------------------

GROUP_SCORER = """
The scorer takes unscaled expression, as in the matrix (scaling is part of the scorer). It has
its own copy of the weights and is in evaluation mode, on the model's device.

Parameters
----------
adata
    Cells with the grouping; ``None`` for those of the model.
groupby
    Column of ``obs``. ``None`` for the model's own groups: the clusters of an autoencoder,
    the labels of a classifier. A classifier also scores the labels that it learned,
    and a column of its predictions, directly; any other grouping is described by prototypes
    in the latent space.
n_prototypes
    Prototypes per group (1: the mean of its cells); ``None`` chooses the number by
    fidelity, see :func:`ace.explain.choose_n_prototypes`.
batch_size
    Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.
random_state
    Seed of the choice of ``n_prototypes``.

Returns
-------
A scorer whose ``feature_names`` are the model's genes, in the model's order.

Raises
------
RuntimeError
    If the model is not trained, or ``groupby`` is ``None`` and it has no groups.
KeyError
    If the column does not exist.
ValueError
    If the grouping has missing values or fewer than two groups.
"""

SAVE = """
The file ``model.safetensors`` holds weights and arrays, and everything else as JSON. It
is written completely before it replaces an earlier one: if the disk is full, or the
process is killed, the earlier model stays intact.

Parameters
----------
dir_path
    Folder to save to.
prefix
    Prefix of the file names.
overwrite
    Replace a model in an existing folder; other files in it are kept.
save_anndata
    Save the model's AnnData or MuData too.
save_kwargs, datamodule
    Must be left out: :func:`torch.save` and datamodules are not used.
legacy_mudata_format
    Ignored; for compatibility with scvi-tools.
**anndata_write_kwargs
    Passed to :func:`anndata.io.write_h5ad`, or to the method ``write`` of the MuData.

Raises
------
ValueError
    If the folder exists and ``overwrite`` is not set, ``prefix`` is not the beginning of
    a file name, or the weights are not finite.
TypeError
    If the model holds values of types that cannot be saved, or ``dir_path`` is not a path.
OSError
    If the files cannot be written.
"""

LOAD = """
Parameters
----------
dir_path
    Folder that :meth:`save` wrote.
adata
    AnnData to attach to the model: it needs the model's genes, in any order; labels are
    optional. ``None`` takes the one saved with the model; ``False`` attaches none. If
    loading fails, it is unchanged.
accelerator, device
    Hardware to put the model on, as in scvi-tools.
prefix
    Prefix of the file names.
allow_pickle
    Load the pickle ``model.pt``, the format of earlier versions and of scvi-tools, if
    there is no other file. **Loading a pickle can run arbitrary code**: allow it only for
    files that you trust, and save the model again.
**kwargs
    ``allowed_classes_names_list``: names of further classes whose models may be loaded
    as this one.

Returns
-------
The model, in evaluation mode.

Raises
------
ValueError
    If the folder has no model of this class, its files are damaged, in a newer format or
    pickles, weights are missing or not finite, or ``adata`` lacks genes of the model.
TypeError
    If an argument is unknown, or ``dir_path`` is not a path.

Warns
-----
UserWarning
    If ``adata`` is ``None`` and none was saved, or if the model was saved during training
    and the final fits (such as the calibration) need the training cells.
"""


def joined(texts: str) -> str:
    """Remove blank lines between descriptions of parameters; keep them around sections."""
    return re.sub(r"\n\n+(?=\S)(?!\w+\n---)", "\n", texts).strip()


def setup_text(parameters: str) -> str:
    """Return the sections of the docstring of ``setup_anndata``."""
    return f"""
adata
    AnnData; codes of its columns are added to ``obs``, and the matrix is not changed.
{joined(parameters)}
{SETUP_KWARGS.strip()}

Raises
------
{SETUP_ERRORS.strip()}

Warns
-----
{LOG_WARNINGS.strip()}
"""


def setup_mudata_text(parameters: str) -> str:
    """Return the sections of the docstring of ``setup_mudata``."""
    return f"""
mdata
    MuData; codes of its columns are added to ``obs``, and the matrix is not changed.
{MODALITIES.strip()}
{joined(parameters)}
{SETUP_KWARGS.strip()}

Raises
------
{MUDATA_ERRORS.strip()}
"""
