"""The network of scNym: a classifier, and domain adversaries on its last hidden layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from scvi import REGISTRY_KEYS
from scvi.module.base import LossOutput, auto_move_data
from torch import Tensor, nn
from torch.nn import functional as F

from ace.model.base._module import EmbeddingModule
from ace.model.scnym._novelty import Novelty
from ace.nn import reverse_gradient

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMALIZATIONS = ("batch", "layer")


class _Layer(nn.Module):
    """Linear, normalisation, ReLU and dropout, optionally with a residual connection."""

    def __init__(
        self, n_in: int, n_out: int, dropout_rate: float, normalization: str, residual: bool
    ) -> None:
        super().__init__()
        norm = nn.BatchNorm1d if normalization == "batch" else nn.LayerNorm
        self.body = nn.Sequential(
            nn.Linear(n_in, n_out), norm(n_out), nn.ReLU(), nn.Dropout(dropout_rate)
        )
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


class ScnymModule(EmbeddingModule):
    r"""Fully connected classifier :math:`f` and domain adversaries :math:`g`.

    Parameters
    ----------
    n_input
        Number of genes.
    n_labels
        Number of classes.
    n_domains
        Number of domains in each column of domains; each column has its own adversary.
    n_hidden
        Width of each hidden layer; the last one is the embedding.
    n_layers
        Number of hidden layers.
    dropout_rate
        Fraction of hidden units dropped in training.
    residual
        Whether hidden layers after the first have a residual connection.
    normalization
        ``"batch"`` or ``"layer"``.
    """

    temperature: Tensor

    def __init__(
        self,
        n_input: int,
        n_labels: int,
        n_domains: Sequence[int],
        n_hidden: int = 256,
        n_layers: int = 2,
        dropout_rate: float = 0.5,
        residual: bool = False,
        normalization: Literal["batch", "layer"] = "batch",
    ) -> None:
        super().__init__(n_input, n_hidden)
        self.n_labels = n_labels
        self.encoder = nn.Sequential(
            *(
                _Layer(
                    n_input if i == 0 else n_hidden,
                    n_hidden,
                    dropout_rate,
                    normalization,
                    residual and i > 0,
                )
                for i in range(n_layers)
            )
        )
        self.classifier = nn.Linear(n_hidden, n_labels)
        self.adversaries = nn.ModuleList(
            nn.Sequential(nn.Linear(n_hidden, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n))
            for n in n_domains
        )
        self.novelty = Novelty(n_hidden, n_labels)
        # Divides the logits of the trained network; saved with the weights.
        self.register_buffer("temperature", torch.ones(()))

    @auto_move_data
    def embed(self, x: Tensor) -> Tensor:
        """Last hidden layer, shape ``(n_cells, n_hidden)``, of unscaled expression."""
        return self.encoder(self.scaled(x))

    @auto_move_data
    def classify(self, x: Tensor) -> Tensor:
        """Calibrated softmax logits, shape ``(n_cells, n_labels)``, of unscaled expression."""
        return self.logits_of(self.embed(x))

    @auto_move_data
    def novelty_of(self, x: Tensor) -> Tensor:
        """Novelty of unscaled expression, shape ``(n_cells,)``."""
        z = self.embed(x)
        return self.novelty(z, self.classifier(z))

    def logits_of(self, z: Tensor) -> Tensor:
        """Calibrated softmax logits of embedded cells."""
        return self.classifier(z) / self.temperature

    def domain_logits(self, z: Tensor, column: int = 0) -> Tensor:
        """Softmax logits of the domains of one column, of embedded cells."""
        return self.adversaries[column](z)

    def adversarial_loss(self, z: Tensor, domains: Tensor, weight: float) -> Tensor:
        r"""Cross-entropy of the domains, with reversed gradient for the embedding.

        Parameters
        ----------
        z
            Embedded cells.
        domains
            Domain of each cell in each column, -1 if unknown, shape ``(n_cells, n_columns)``.
        weight
            Factor :math:`w_t` of the reversed gradient.

        Returns
        -------
        Mean over the columns.
        """
        hidden = reverse_gradient(z, weight)
        losses = []
        for adversary, domain in zip(self.adversaries, domains.T, strict=True):
            known = domain >= 0
            # Without known domains, the mean is zero instead of NaN.
            total = F.cross_entropy(adversary(hidden), domain, ignore_index=-1, reduction="sum")
            losses.append(total / known.sum().clamp(min=1))
        return torch.stack(losses).mean()

    def generative(self, z: Tensor) -> dict[str, Tensor]:
        """Classify embedded cells."""
        return {"logits": self.logits_of(z)}

    def loss(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor],
    ) -> LossOutput:
        """Return the cross-entropy of labelled cells, as scvi-tools expects it."""
        labels = tensors[REGISTRY_KEYS.LABELS_KEY].flatten()
        logits = generative_outputs["logits"]
        loss = F.cross_entropy(logits, labels)
        return LossOutput(
            loss=loss,
            classification_loss=loss,
            logits=logits,
            true_labels=labels,
            n_obs_minibatch=len(labels),
        )
