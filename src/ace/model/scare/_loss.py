"""The attribution loss of a minibatch: one term for each ground truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from scvi import REGISTRY_KEYS

from ace.model.base._obs import state_of
from ace.model.scare import _attribution as attribution
from ace.model.scare._ground_truth import as_numbers, has_truth_by_cell
from ace.model.training._split import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from ace.model.scare import SCARE
    from ace.model.scare._ground_truth import Genes
    from ace.model.scare._module import ScareModule

ALL_DIMENSIONS = slice(None)

#: Default weight of the attribution loss: for ``loss="share"`` by the source of the references,
#: and for the other losses, which are means over all genes and therefore small.
SHARE_WEIGHTS: dict[str, float] = {"label": 200.0, "neighbor": 60.0, "minibatch": 60.0}
MEAN_WEIGHT = 2e4


def default_weight(losses: Sequence[attribution.Loss], reference: attribution.Reference) -> float:
    """Return the default weight of the attribution loss of ground truths with these losses.

    Raises
    ------
    ValueError
        If the losses have different scales.
    """
    if list(losses) == ["share"]:
        return SHARE_WEIGHTS[reference]
    if "share" in losses:
        raise ValueError(
            f"the losses {list(losses)} of the ground truths have different scales: set "
            'plan_kwargs={"attribution_weight": ...}, and the weight of each ground truth.'
        )
    return MEAN_WEIGHT


def settings_of(
    kind: attribution.Attribution,
    target: attribution.Target | Callable[[Tensor], Tensor],
    transform: attribution.Transform | None,
    reference: attribution.Reference | None,
    *,
    loss: attribution.Loss,
    losses: Sequence[attribution.Loss],
    has_labels: bool,
) -> AttributionSettings:
    """Return the settings of a model, with defaults for arguments that are ``None``.

    Parameters
    ----------
    kind, target, transform, reference, loss
        Arguments of :class:`ace.model.SCARE`.
    losses
        Losses of its ground truths.
    has_labels
        Whether ``labels_key`` was set up.

    Raises
    ------
    ValueError
        If references by label have no labels.
    """
    if reference is None:
        # Genes that distinguish the types must be selected too, so references are of any type.
        by_type: attribution.Reference = "label" if has_labels else "neighbor"
        reference = "minibatch" if loss == "excess" else by_type
    if transform is None:
        transform = "square_share" if list(losses) == ["share"] else "abs_minmax"
    if reference == "label" and not has_labels:
        raise ValueError(
            'reference="label" needs the type of each cell: pass labels_key to setup_anndata, or '
            'use reference="neighbor".'
        )
    return AttributionSettings(kind, target, transform, reference)


@dataclass(frozen=True)
class AttributionSettings:
    """What is attributed to the genes, and how; see :class:`ace.model.SCARE`."""

    kind: attribution.Attribution
    target: attribution.Target | Callable[[Tensor], Tensor]
    transform: attribution.Transform
    reference: attribution.Reference

    def of_dimension(self, dimension: int) -> AttributionSettings:
        """Return the settings to attribute one latent dimension."""
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
        """Attribute the target, computed from some latent dimensions, to the genes.

        The module is in evaluation mode meanwhile, so that cells do not depend on each other.

        Parameters
        ----------
        module
            The network.
        tensors
            The minibatch.
        dimensions
            Latent dimensions to use.
        references
            Reference of each cell as ``log1p`` of counts; ``None`` draws them from the minibatch.
        create_graph
            Whether the result can be differentiated in the weights.

        Returns
        -------
        Attributions, shape ``(n_cells, n_genes)``.
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
                            f"the target must return one value per cell, shape ({len(z)},), got "
                            f"shape {tuple(value.shape)}."
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
        """Return the weights of the latent means in a linear target, ``(n_cells, n_latent)``."""
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
        if by_label and z is not None:  # cells of unknown type do not share a type
            found = torch.where(unknown, attribution.partners("neighbor", x, z, labels), found)
        return x[found]


@dataclass(frozen=True, eq=False)
class Term:
    """A ground truth as part of the loss: genes, weight, loss and latent dimensions."""

    name: str
    genes: Genes
    weight: float
    loss: attribution.Loss
    dimensions: slice


def terms_of(model: SCARE) -> list[Term]:
    """Return the ground truths of a model as terms of its loss.

    Raises
    ------
    ValueError
        If a category of a ground truth is not one of the labels.
    """
    labels = state_of(model, REGISTRY_KEYS.LABELS_KEY) or {}
    categories = list(labels.get("categorical_mapping", ()))
    blocks = model.latent_blocks
    return [
        Term(
            name := str(truth.name),
            as_numbers(truth, model.var_names, categories),
            truth.weight,
            model.loss_ if truth.loss is None else truth.loss,
            blocks[name],
        )
        for truth in model._ground_truth
    ]


def loss_of(model: SCARE) -> AttributionLoss | None:
    """Return the attribution loss for the cells of a model; ``None`` without a ground truth.

    Raises
    ------
    ValueError
        If a ground truth by cell belongs to other cells than those of the model.
    """
    truths = model._ground_truth
    if has_truth_by_cell(truths) and fingerprint(model.adata) != model.ground_truth_cells_:
        raise ValueError(
            "the ground truth by cell belongs to other cells: create a model for these cells, "
            f"{type(model).__name__}(adata, ground_truth=...)."
        )
    if not truths:
        return None
    return AttributionLoss(model._settings, terms_of(model), model._combine)


def latent_blocks(names: Sequence[str], n_latent: int, disjoint: bool) -> dict[str, slice]:
    """Return the latent dimensions of each ground truth: all of them unless ``disjoint``."""
    if not disjoint:
        return dict.fromkeys(names, ALL_DIMENSIONS)
    # Blocks of the same size, and a free block at the end.
    size = n_latent // (len(names) + 1)
    return {name: slice(i * size, (i + 1) * size) for i, name in enumerate(names)}


class AttributionLoss(torch.nn.Module):
    r"""The attribution loss :math:`L_A` (Eq. 5 to 7) of all ground truths.

    Parameters
    ----------
    settings
        What is attributed to the genes, and how.
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
        # Registered, so that they are moved to the device of the training.
        self._genes = torch.nn.ModuleList([term.genes for term in terms])
        #: Number of cells of the last minibatch in the mean loss and mean share of each term.
        self.n_counted: dict[str, Tensor] = {}

    def forward(
        self, module: ScareModule, tensors: dict[str, Tensor], *, create_graph: bool
    ) -> dict[str, Tensor]:
        """Return the loss of a minibatch, ``"attribution"``, and loss and share of each term."""
        total = torch.zeros((), device=tensors[REGISTRY_KEYS.X_KEY].device)
        found: dict[str, Tensor] = {}
        passes: dict[tuple[int, int], Tensor] = {}
        for term in self._terms:
            # Ground truths with the same dimensions share one pass.
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
        """Return loss, share of absolute attribution on the genes, and number of cells of each.

        Both are means over the cells that the ground truth covers. The share leaves out cells
        without any attribution, which are the only ones of their type.
        """
        truth, counts = term.genes.of(
            tensors[REGISTRY_KEYS.INDICES_KEY], tensors[REGISTRY_KEYS.LABELS_KEY].reshape(-1)
        )
        if term.loss == "share":  # undefined for cells without genes
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
