"""The network of Kratos and its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from scvi import REGISTRY_KEYS
from scvi.module.base import LossOutput, auto_move_data
from torch import Tensor, nn

from ace.model.base._module import EmbeddingModule
from ace.nn import log_odds

if TYPE_CHECKING:
    from collections.abc import Sequence


LOSSES = ("bce", "cross_entropy")


class KratosModule(EmbeddingModule):
    r"""Fully connected classifier that scales its input.

    There is no batch normalisation, so a minibatch may be a single cell, and the score of a cell
    does not depend on other cells.

    Parameters
    ----------
    n_input
        Number of genes.
    n_labels
        Number of classes.
    n_hidden
        Width of each hidden layer; the last one is the embedding.
    dropout_rate
        Fraction of hidden units dropped in training.
    loss
        ``"bce"``: Eq. 11 of the Kratos paper; ``"cross_entropy"``.
    """

    def __init__(
        self,
        n_input: int,
        n_labels: int,
        n_hidden: Sequence[int] = (256, 64),
        dropout_rate: float = 0.0,
        loss: str = "bce",
    ) -> None:
        super().__init__(n_input, n_hidden[-1])
        self.n_labels = n_labels
        self.loss_name = loss
        layers: list[nn.Module] = []
        for n_in, n_out in zip((n_input, *n_hidden), n_hidden, strict=False):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
            if dropout_rate:
                layers.append(nn.Dropout(dropout_rate))
        self.encoder = nn.Sequential(*layers)
        self.classifier = nn.Linear(n_hidden[-1], n_labels)

    @auto_move_data
    def embed(self, x: Tensor) -> Tensor:
        """Last hidden layer, shape ``(n_cells, n_hidden[-1])``, of unscaled expression."""
        return self.encoder(self.scaled(x))

    @auto_move_data
    def classify(self, x: Tensor) -> Tensor:
        """Softmax logits, shape ``(n_cells, n_labels)``, of unscaled expression."""
        return self.classifier(self.embed(x))

    def classification_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        r"""Return the loss of a minibatch.

        Eq. 11 reads the softmax outputs :math:`a` as K binary predictions, and takes
        :math:`-\sum_k y_k \log a_k + (1 - y_k) \log (1 - a_k)`. As :math:`a_k` is the logistic
        function of the log-odds of :math:`k` against the rest, this is the binary cross-entropy
        of these log-odds, which is finite for any logits.
        """
        if self.loss_name == "cross_entropy":
            return F.cross_entropy(logits, labels)
        target = F.one_hot(labels, self.n_labels).to(logits.dtype)
        odds = log_odds(logits)
        return F.binary_cross_entropy_with_logits(odds, target, reduction="sum") / len(labels)

    def generative(self, z: Tensor) -> dict[str, Tensor]:
        """Classify embedded cells."""
        return {"logits": self.classifier(z)}

    def loss(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor],
    ) -> LossOutput:
        """Return the loss, as scvi-tools expects it."""
        labels = tensors[REGISTRY_KEYS.LABELS_KEY].flatten()
        logits = generative_outputs["logits"]
        loss = self.classification_loss(logits, labels)
        return LossOutput(
            loss=loss,
            classification_loss=loss,
            logits=logits,
            true_labels=labels,
            n_obs_minibatch=len(labels),
        )
