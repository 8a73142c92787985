"""The attribution loss of a minibatch: every ground truth, its own latent dimensions, its term."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from scvi import REGISTRY_KEYS

from ace.model.scare import _attribution as attribution

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ace.model.scare._ground_truth import Genes
    from ace.model.scare._module import ScareModule

ALL_DIMENSIONS = slice(None)


@dataclass(frozen=True)
class AttributionSettings:
    """What is attributed to genes, and how; see :class:`ace.model.SCARE`."""

    kind: attribution.Attribution
    target: attribution.Target | Callable[[Tensor], Tensor]
    transform: attribution.Transform
    reference: attribution.Reference

    def of_dimension(self, dimension: int) -> AttributionSettings:
        """Give the settings that attribute one latent dimension."""
        return replace(self, target=lambda z: z[:, dimension])

    def attributions(
        self,
        module: ScareModule,
        tensors: dict[str, Tensor],
        dimensions: slice = ALL_DIMENSIONS,
        *,
        references: Tensor | None = None,
        create_graph: bool = False,
    ) -> Tensor:
        """Attributions of the target of some latent dimensions, ``(n_cells, n_genes)``.

        Every cell stands for itself: the module is in evaluation mode meanwhile. ``references``
        are ``log1p`` of counts; ``None`` draws them from the minibatch.
        """
        x = torch.log1p(tensors[REGISTRY_KEYS.X_KEY])
        with module.evaluating():
            if references is None:
                references = self._references(module, x, tensors)
            weights = self._direction(module, x, references, tensors)[:, dimensions]

            def scalar(log_x: Tensor) -> Tensor:
                z = module.encode(log_x, *module.covariates(tensors))
                if self.target == "decoder_sum":
                    return torch.log1p(module.decode_mean(z, tensors)).sum(1)
                z = z[:, dimensions]
                if callable(self.target):
                    value = self.target(z)
                    if value.shape != (len(z),):
                        raise ValueError(
                            f"the target must give a number for each of {len(z)} cells, shape "
                            f"({len(z)},), got {tuple(value.shape)}."
                        )
                    return value
                return z.square().sum(1) if self.target == "encoder_norm" else (z * weights).sum(1)

            return attribution.attribute(
                *attribution.paths(x, self.kind, references), scalar, create_graph=create_graph
            )

    @torch.no_grad()
    def _direction(
        self, module: ScareModule, x: Tensor, references: Tensor | None, tensors: dict[str, Tensor]
    ) -> Tensor:
        """Weights of the latent means in a linear target, ``(n_cells, n_latent)``."""
        signs = torch.ones(len(x), module.n_latent, device=x.device)
        if self.target == "random_projection":
            return torch.randint_like(signs, 2) * 2 - 1
        if self.target != "distance":
            return signs
        covariates = module.covariates(tensors)
        start = torch.zeros_like(x) if references is None else references
        way = module.encode(x, *covariates) - module.encode(start, *covariates)
        return torch.nn.functional.normalize(way, dim=1)

    def _references(
        self, module: ScareModule, x: Tensor, tensors: dict[str, Tensor]
    ) -> Tensor | None:
        if self.kind == "integrated_gradients":
            return None
        labels = tensors[REGISTRY_KEYS.LABELS_KEY].reshape(-1)
        by_label, unknown = self.reference == "label", labels < 0
        z = None
        if self.reference == "neighbor" or (by_label and bool(unknown.any())):
            with torch.no_grad():
                z = module.encode(x, *module.covariates(tensors))
        found = attribution.partners(self.reference, x, z, labels)
        if by_label and z is not None:  # not knowing the type is no type
            found = torch.where(unknown, attribution.partners("neighbor", x, z, labels), found)
        return x[found]


@dataclass(frozen=True, eq=False)
class Term:
    """One ground truth: its genes, weight and loss, and the latent dimensions it is of."""

    name: str
    genes: Genes
    weight: float
    loss: attribution.Loss
    dimensions: slice


class AttributionLoss(torch.nn.Module):
    r"""The attribution loss :math:`L_A` (Eq. 5 to 7) of all ground truths.

    Parameters
    ----------
    settings
        What is attributed to genes.
    terms
        The ground truths.
    combine
        ``"sum"``: :math:`\sum_k w_k L_k`; ``"square_sum"``: :math:`\sum_k w_k L_k^2`.
    """

    def __init__(
        self,
        settings: AttributionSettings,
        terms: list[Term],
        combine: attribution.Combine = "sum",
    ) -> None:
        super().__init__()
        self._settings = settings
        self._terms = terms
        self._combine = combine
        # Known to torch, so that they come along to the device of the training.
        self._genes = torch.nn.ModuleList([term.genes for term in terms])
        #: Cells of the last minibatch that the loss and the share of each term are means over.
        self.n_counted: dict[str, Tensor] = {}

    def forward(
        self, module: ScareModule, tensors: dict[str, Tensor], *, create_graph: bool
    ) -> dict[str, Tensor]:
        """Give the loss of a minibatch, ``"attribution"``, and loss and share of each term."""
        total = torch.zeros((), device=tensors[REGISTRY_KEYS.X_KEY].device)
        found: dict[str, Tensor] = {}
        passes: dict[tuple[int, int], Tensor] = {}
        for term in self._terms:
            # Ground truths of the same dimensions share one pass.
            key = (term.dimensions.start, term.dimensions.stop)
            if key not in passes:
                passes[key] = self._settings.attributions(
                    module, tensors, term.dimensions, create_graph=create_graph
                )
            loss, share, counted = self._compare(term, passes[key], tensors)
            self.n_counted[f"attribution_{term.name}"] = counted[0]
            self.n_counted[f"share_{term.name}"] = counted[1]
            found |= {f"attribution_{term.name}": loss, f"share_{term.name}": share}
            total = total + term.weight * (
                loss.square() if self._combine == "square_sum" else loss
            )
        return {"attribution": total} | found

    def _compare(
        self, term: Term, values: Tensor, tensors: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Loss of one ground truth, share of absolute attribution on its genes, and of how many.

        Cells that the ground truth says nothing about have no part in either mean; cells that
        nothing is attributed to, being alone of their type, have none in the share.
        """
        truth, counts = term.genes.of(
            tensors[REGISTRY_KEYS.INDICES_KEY], tensors[REGISTRY_KEYS.LABELS_KEY].reshape(-1)
        )
        if term.loss == "share":  # of no genes there is none
            counts = counts * (truth.sum(1) > 0)
        losses = attribution.discrepancy(
            attribution.transformed(values, self._settings.transform), truth, term.loss
        )
        absolute = values.detach().abs()
        total = absolute.sum(1)
        shares = (truth * absolute).sum(1) / (total + attribution.TINY)
        attributed = counts * (total > 0)
        n, n_attributed = counts.sum(), attributed.sum()
        loss = (losses * counts).sum() / n.clamp_min(1)
        share = (shares * attributed).sum() / n_attributed.clamp_min(1)
        return loss, share, (n, n_attributed)
