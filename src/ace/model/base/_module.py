"""Base of the networks: scaled input, and the methods that scvi-tools requires."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from scvi import REGISTRY_KEYS
from scvi.module.base import BaseModuleClass

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class EmbeddingModule(BaseModuleClass):
    """Base of the networks that scale and embed expression.

    Parameters
    ----------
    n_input
        Number of genes.
    n_latent
        Dimensions of the latent space.
    """

    def __init__(self, n_input: int, n_latent: int) -> None:
        super().__init__()
        self.n_latent = n_latent
        # Buffers, so that they are saved with the weights.
        self.register_buffer("offset", torch.zeros(n_input))
        self.register_buffer("factor", torch.ones(n_input))

    @torch.no_grad()
    def set_scale(self, offset: np.ndarray, factor: np.ndarray) -> None:
        """Set the scaling of the input, ``(x - offset) · factor``."""
        self.offset.copy_(torch.from_numpy(offset))
        self.factor.copy_(torch.from_numpy(factor))

    def scaled(self, x: Tensor) -> Tensor:
        """Return scaled expression."""
        return (x - self.offset) * self.factor

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Latent representation of unscaled expression, shape ``(n_cells, n_latent)``."""

    def _get_inference_input(self, tensors: dict[str, Tensor], **kwargs: Any) -> dict[str, Tensor]:
        return {"x": tensors[REGISTRY_KEYS.X_KEY]}

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Tensor], **kwargs: Any
    ) -> dict[str, Tensor]:
        return {"z": inference_outputs["z"]}

    def inference(self, x: Tensor) -> dict[str, Tensor]:
        """Embed cells."""
        return {"z": self.embed(x)}

    def sample(self, *args: Any, **kwargs: Any) -> Tensor:
        """Not defined for a deterministic network."""
        raise NotImplementedError(
            f"{type(self).__name__} is deterministic: there is no distribution to sample from."
        )
