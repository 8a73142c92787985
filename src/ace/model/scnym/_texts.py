"""Descriptions of the parameters of SCNYM."""

from ace.model.base import _texts as texts
from ace.model.base._classifier import LABELS_KEY

INIT = texts.joined(
    texts.INIT_DATA
    + """
n_hidden
    Width of each hidden layer; the last one is the embedding.
n_layers
    Number of hidden layers: 4 in the paper, 2 in the published code.
dropout_rate
    Fraction of hidden units dropped in training.
residual
    Use residual connections in hidden layers after the first.
normalization
    ``"batch"`` or ``"layer"`` normalisation of the hidden layers.
"""
    + texts.INIT_RANDOM_STATE
)

SETUP = (
    LABELS_KEY
    + texts.UNLABELED_CATEGORY
    + texts.LAYER
    + """
domain_key
    Column of ``obs`` with the domain of each cell (experiment, technology, donor), or several
    columns, each with its own adversary. ``None``: labelled and unlabelled cells are the two
    domains.
"""
)

SETUP_ANNDATA = texts.setup_text(SETUP)
SETUP_MUDATA = texts.setup_mudata_text(SETUP)

PRESETS = """
preset
    Settings (:class:`~ace.model.scnym.Recipe`):

    - ``"default"``: for unlabelled cells of the types that occur among the labelled cells;
    - ``"new_identity"``: for unlabelled cells that may be of new types, see
      :meth:`novelty`. There are no pseudolabels, and the adversary ignores cells that are
      classified with low confidence;
    - ``"supervised"``: unlabelled cells are not used;
    - ``"published"``: settings of the paper (pass ``n_layers=4`` and
      ``early_stopping=True`` too);
    - ``"no_adversary"``, ``"no_mixmatch"``, ``"no_teacher"``: the default without this part.
"""

TRAIN = texts.joined(
    """
max_epochs
    Passes over the larger of the labelled and the unlabelled set. ``None``: that of
    the preset, else 400 minibatches, but 10 to 100 epochs; 10 epochs without labelled
    cells (see :meth:`load_query_data`).
"""
    + PRESETS
    + texts.HARDWARE
    + """
train_size
    Fraction of the labelled cells to train on; ``None`` for 0.9. The split is
    stratified by class.
validation_size
    Fraction to validate and calibrate on; ``None`` for the rest.
"""
    + """
external_indexing
    Your own split: rows of the labelled training, validation and test cells. All unlabelled cells
    are trained on.
batch_size
    Number of labelled cells in a minibatch, and of unlabelled ones.
lr, weight_decay
    Learning rate and weight decay of the optimizer; ``None`` for those of the preset.
early_stopping
    Stop when the accuracy on validation cells no longer improves, after all terms of the
    loss have reached their weights: by default in the last epoch, with early stopping
    after half of the epochs, unless ``plan_kwargs`` set the ramps. The weights of the most
    accurate epoch after the ramps are kept in any case.
"""
    + texts.PATIENCE
    + """
random_state
    Seed of the split, the order of the cells, MixUp and dropout; ``None`` for that of the
    model.
plan_kwargs
    Settings of :class:`~ace.model.scnym.Recipe` that replace the preset's.
"""
    + texts.TRAINER
    + """
Raises
------
"""
    + texts.TRAIN_ERRORS
    + """
ValueError
    If an argument is out of range, the matrix holds NaN or infinite values, a class has
    no training cell, labels were renamed after the set-up, a minibatch has one labelled
    cell although batch normalisation needs two, or early stopping is enabled without
    validation cells.
TypeError
    If ``plan_kwargs`` has unknown settings.
"""
)
