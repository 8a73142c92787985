"""Descriptions of the parameters of ACE."""

from ace.model.base import _texts as texts

INIT = texts.joined(
    texts.INIT_DATA
    + """
n_latent
    Dimensions of the latent space.
n_clusters
    Number of clusters; ``"auto"`` chooses it from 2 to 20 by the silhouette. ``None``: the
    labels are the clusters if ``labels_key`` was set up, else there are none.
n_hidden
    Width of each hidden layer of the encoder, mirrored by the decoder. A number is one layer.
n_selected
    Number of genes that the encoder reads (256 in the published runs), chosen in the first
    half of training by :class:`ace.nn.ConcreteSelector`; ``None`` for all.
dropout_rate
    Dropout rate of the encoder's input. Without dropout, as in SAUCIE, the reconstruction of
    held-out cells soon deteriorates.
batch_weight
    Weight of the batch correction, if ``batch_key`` was set up; 0 for no correction. Large
    weights also mix types that differ between batches.
cluster_weight
    Weight of the distance of cells to the centroid of their cluster or label, used after
    ``warmup_epochs``; 0.1 is a good first value. With 0, the embedding is clustered only after
    training, which agreed at least as well with known types in the benchmarks.
id_weight
    Weight of SAUCIE's information dimension, the normalised entropy of the units of the
    decoder's first layer.
distance_weight
    Weight of SAUCIE's distance between reconstructions of cells with the same active units.
    Only effective together with ``id_weight``.
scale
    Scaling of each gene, learned from the training cells and saved with the weights:
    ``"zscore"``, ``"minmax"`` to [0, 1] as in SAUCIE, or ``None``. A gene that is constant in
    the training cells is ignored.
"""
    + texts.INIT_RANDOM_STATE
)

SETUP = (
    texts.LAYER
    + """
batch_key
    Column of ``obs`` with the batch of each cell, to correct the embedding for.
labels_key
    Column of ``obs`` with known groups, which are used instead of clusters.
"""
)

SETUP_ANNDATA = texts.setup_text(SETUP)
SETUP_MUDATA = texts.setup_mudata_text(SETUP)

TRAIN = texts.joined(
    """
max_epochs
    Passes over the training cells. ``None``: 30, fewer above 20 000 cells
    (30 · 20 000 / n), but at least 600 minibatches.
"""
    + texts.HARDWARE
    + texts.SPLIT_SIZES
    + texts.EXTERNAL_INDEXING
    + """
batch_size
    Cells in a minibatch.
"""
    + texts.ADAM
    + """
warmup_epochs
    Epochs before ``cluster_weight`` is used; ``None`` for half of the epochs.
early_stopping
    Stop when the validation loss no longer improves. Off by default, because the loss
    changes when ``cluster_weight`` takes effect.
"""
    + texts.PATIENCE
    + """
random_state
    Seed of the split, the order of the cells and the choice of genes; ``None`` for that of
    the model.
plan_kwargs
    Further arguments of :class:`~ace.model.autoencoder.AceTrainingPlan`.
"""
    + texts.TRAINER
    + """
Raises
------
"""
    + texts.TRAIN_ERRORS
    + """
ValueError
    If an argument is out of range, the matrix holds NaN or infinite values, batches are
    unknown, labels have no training cells, or early stopping is enabled without
    validation cells or while genes are being chosen.
"""
)
