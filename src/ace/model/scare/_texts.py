"""Descriptions of the parameters of SCARE, by the method that they belong to."""

from __future__ import annotations

from ace.model.base import _texts as base

CHOICES = """
ground_truth
    Genes that the latent space should depend on: names; a Boolean column of ``adata.var``; a
    mapping from categories of ``labels_key`` to names; a Boolean array or sparse matrix of shape
    ``(n_cells, n_genes)``; or one or several :class:`~ace.model.GroundTruth`. ``None`` for a plain
    scVI model.
disjoint
    Give each of several ground truths its own latent dimensions, see :attr:`latent_blocks`.
attribution
    ``"expected_gradients"`` (Eq. 6), or ``"integrated_gradients"`` from the zero cell (Eq. 5),
    which is many times slower.
target
    The scalar :math:`F`: ``"distance"``, the latent means in the direction from the reference to
    the cell; ``"random_projection"``, the latent means with random signs; ``"encoder_sum"``, their
    sum; ``"encoder_norm"``, their squared norm; ``"decoder_sum"``, the sum of
    :math:`\\log(1 + \\mu)` of the decoder's means; or a function from latent means
    ``(n_cells, n_latent)`` to ``(n_cells,)``. A function is not saved: pass it again to
    :meth:`load`.
transform
    Scaling of the attributions of a cell to [0, 1]: ``"square_share"``, ``"abs_share"``,
    ``"abs_minmax"`` or ``"sigmoid"``. ``None``: ``"square_share"`` for ``loss="share"``, else
    ``"abs_minmax"``.
loss
    ``"share"``, the share of the attribution on other genes; ``"mse"`` or ``"mae"``; or
    ``"excess"``, which penalises attribution to other genes only and, with ``ground_truth=[]``,
    selects few genes (:meth:`top_attributed_genes`).
reference
    Reference cells of expected gradients: ``"label"``, cells with the same label; ``"neighbor"``,
    the nearest in the latent space; ``"minibatch"``, any cells. ``None``: ``"minibatch"`` for
    ``loss="excess"``, else ``"label"`` if ``labels_key`` was set up, else ``"neighbor"``.
combine
    ``"sum"`` or ``"square_sum"`` of the losses of several ground truths.
n_latent
    Number of latent dimensions.
n_hidden
    Width of the hidden layers.
n_layers
    Number of hidden layers of encoder and decoder.
dropout_rate
    Dropout rate of the encoder.
gene_likelihood
    ``"nb"``, ``"zinb"`` or ``"poisson"``.
use_observed_lib_size
    Use the total of each cell as its size factor; ``False`` learns it with a second encoder.
"""

COLUMNS = """
layer
    Layer with counts, ``None`` for ``X``.
batch_key
    Column of ``obs`` with the batch of each cell, an input of encoder and decoder.
labels_key
    Column of ``obs`` with the type of each cell, for ground truths and references by type. It is
    not an input of the network.
size_factor_key
    Column of ``obs`` with size factors; ``None`` for the total of each cell.
categorical_covariate_keys
    Columns of ``obs`` with further categories, used like the batch.
continuous_covariate_keys
    Columns of ``obs`` with numbers, used like the batch.
"""

SETUP_ERRORS = """
KeyError
    If a column or the layer does not exist.
ValueError
    If labels or batches are missing, gene names are not unique, values are scaled or of different
    kinds, or the object is a view.
"""

ADAM = """
lr
    Learning rate of Adam; ``None`` for 0.001.
weight_decay
    Weight decay of Adam; ``None`` for 1e-6, or 0 after :meth:`load_query_data`.
"""

PLAN = """
plan_kwargs
    Further arguments of :class:`~ace.model.scare.ScareTrainingPlan`: ``attribution_weight``
    (``None``: with ``loss="share"``, 200 for references by label and 60 for others; with other
    losses, 20 000), ``attribution_warmup_epochs`` (default: a fifth of the epochs),
    ``reconstruction_weight``, ``kl_weight``, ``kl_warmup_epochs`` (default: all epochs, or half of
    them with early stopping), …
"""

READING_ERRORS = """
RuntimeError
    If the model is not trained.
KeyError
    If a column that the model reads is missing.
ValueError
    If genes are missing, a category is unknown, or the matrix holds NaN or infinite values.
"""

ATTRIBUTED = """
adata
    Cells; ``None`` for those of the model. References are drawn from all of them: by label, or
    among neighbours if a label is unknown. Attributions are 0 in a cell that is the only one
    with its label.
indices
    Rows (or a Boolean mask); ``None`` for all. Neighbours are drawn from these rows.
"""

INIT = {"data": base.INIT_DATA, "choices": CHOICES, "random_state": base.INIT_RANDOM_STATE}

SETUP_ANNDATA = {"columns": COLUMNS, "kwargs": base.SETUP_KWARGS, "errors": SETUP_ERRORS}

SETUP_MUDATA = {
    "modalities": base.MODALITIES,
    "columns": COLUMNS,
    "kwargs": base.SETUP_KWARGS,
    "errors": base.MUDATA_ERRORS,
}

TRAIN = {
    "hardware": base.HARDWARE,
    "sizes": base.SPLIT_SIZES,
    "external_indexing": base.EXTERNAL_INDEXING,
    "adam": ADAM,
    "patience": base.PATIENCE,
    "plan": PLAN,
    "trainer": base.TRAINER,
    "errors": base.TRAIN_ERRORS,
}

READING = {"cells": base.CELLS, "batch_size": base.BATCH_SIZE, "errors": READING_ERRORS}
