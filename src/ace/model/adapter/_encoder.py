"""The encoder of a model as a function of two tensors, genes and covariates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from scvi import REGISTRY_KEYS

from ace.nn._clamp import clamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

#: Names under which ``inference`` returns the posterior, its mean, or a noise-free latent space.
MEANS = ("qz", "qzm", "qz_m", "z")


class Field(NamedTuple):
    """A registered field other than the genes, as columns of the covariates."""

    name: str
    width: int
    dtype: torch.dtype


def fields_of(covariates: Mapping[str, np.ndarray]) -> list[Field]:
    """Describe covariates, arrays of shape ``(n_cells, width)``, in their order."""
    return [
        Field(name, values.shape[1], torch.from_numpy(values[:0].copy()).dtype)
        for name, values in covariates.items()
    ]


class Encoder(torch.nn.Module):
    """The encoder of a model, from the values that the model reads to the mean of its posterior.

    Parameters
    ----------
    module
        Network of the model.
    fields
        Fields that make up the columns of the covariates.
    """

    def __init__(self, module: Any, fields: Sequence[Field]) -> None:
        super().__init__()
        self.module = module
        self.fields = tuple(fields)

    def forward(self, x: torch.Tensor, covariates: torch.Tensor) -> torch.Tensor:
        """Embed cells.

        Parameters
        ----------
        x
            Values of the genes, shape ``(n_cells, n_genes)``.
        covariates
            Columns of the fields, shape ``(n_cells, n_covariates)``.

        Returns
        -------
        Shape ``(n_cells, n_latent)``.
        """
        tensors, start = {REGISTRY_KEYS.X_KEY: x}, 0
        for field in self.fields:
            tensors[field.name] = covariates[:, start : start + field.width].to(field.dtype)
            start += field.width
        outputs = self.module.inference(**self.module._get_inference_input(tensors))
        found = next((outputs[key] for key in MEANS if outputs.get(key) is not None), None)
        if found is None:
            raise ValueError(
                f"the encoder of this model returns {list(outputs)}, but none of {MEANS}, so its "
                "latent space cannot be found. Return the mean of the posterior as 'qzm'."
            )
        return found if isinstance(found, torch.Tensor) else found.mean


class LogSpaceEncoder(torch.nn.Module):
    r"""An encoder of counts as a function of log-normalised expression.

    Counts are explained in the space of :math:`x = \log(1 + 10^4 k / n)`, with the counts
    :math:`k` of a cell and their total :math:`n`, in which equal steps are comparable between
    genes. This module inverts the transformation, :math:`k = n (e^x - 1) / 10^4`.

    Parameters
    ----------
    encoder
        The encoder of counts.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Embed cells.

        Parameters
        ----------
        x
            Log-normalised expression, shape ``(n_cells, n_genes)``.
        context
            The total of each cell divided by 10⁴, then the covariates; shape
            ``(n_cells, 1 + n_covariates)``.

        Returns
        -------
        Shape ``(n_cells, n_latent)``.
        """
        # A noisy copy of a cell can have values below zero, but counts cannot be negative.
        counts = torch.expm1(clamp(x, 0.0)) * context[:, :1]
        return self.encoder(counts, context[:, 1:])
