r"""Attributions of a scalar of the model to the genes, and their distance from a ground truth.

Everything is differentiable in the weights of the model, as the attribution loss requires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from ace import _checks

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Attribution = Literal["expected_gradients", "integrated_gradients"]
Target = Literal["distance", "random_projection", "encoder_sum", "encoder_norm", "decoder_sum"]
Transform = Literal["square_share", "abs_share", "abs_minmax", "sigmoid"]
Loss = Literal["share", "mse", "mae", "excess"]
Reference = Literal["minibatch", "label", "neighbor"]
Combine = Literal["sum", "square_sum"]
ATTRIBUTIONS, TARGETS, TRANSFORMS, LOSSES, REFERENCES, COMBINES = (
    get_args(kind) for kind in (Attribution, Target, Transform, Loss, Reference, Combine)
)

#: Steps of integrated gradients from the zero cell, as published for Kratos.
N_STEPS = 20
#: Number of nearest cells of a minibatch from which a reference is drawn.
N_NEIGHBORS = 15
#: Avoids 0 / 0 in cells without any attribution.
TINY = 1e-12


def check_choices(
    attribution: Any, target: Any, transform: Any, loss: Any, reference: Any, combine: Any
) -> None:
    """Raise a ``ValueError`` if an argument of :class:`ace.model.SCARE` is not a choice."""
    _checks.one_of(attribution, "attribution", ATTRIBUTIONS)
    if not callable(target):
        _checks.one_of(target, "target", TARGETS)
    _checks.one_of(transform, "transform", (None, *TRANSFORMS))
    _checks.one_of(loss, "loss", LOSSES)
    _checks.one_of(reference, "reference", (None, *REFERENCES))
    _checks.one_of(combine, "combine", COMBINES)


def paths(
    x: Tensor, attribution: Attribution, references: Tensor | None, n_steps: int = N_STEPS
) -> tuple[Tensor, Tensor]:
    r"""Return points on the path from a reference to each cell, and the difference of the two.

    Parameters
    ----------
    x
        Cells, shape ``(n_cells, n_genes)``.
    attribution
        ``"expected_gradients"`` draws one point, :math:`\alpha \sim U(0, 1)`, on the path from the
        reference of each cell; ``"integrated_gradients"`` takes the midpoints of ``n_steps``
        equal parts of the path from 0.
    references
        Reference of each cell; not used by integrated gradients.
    n_steps
        Number of points of integrated gradients.

    Returns
    -------
    Points of shape ``(n_steps, n_cells, n_genes)``, with one step for expected gradients, and
    differences of shape ``(n_cells, n_genes)``.
    """
    if attribution == "integrated_gradients":
        alpha = (torch.arange(n_steps, device=x.device) + 0.5) / n_steps
        return alpha[:, None, None] * x, x
    if references is None:
        raise ValueError("expected gradients need a reference for each cell.")
    alpha = torch.rand(len(x), 1, device=x.device)
    return (references + alpha * (x - references))[None], x - references


def attribute(
    points: Tensor,
    difference: Tensor,
    scalar: Callable[[Tensor], Tensor],
    *,
    create_graph: bool,
) -> Tensor:
    r"""Attribute a scalar of each cell to its genes (Eq. 5 and 6).

    .. math:: a_i = (x_i - x'_i) \; \frac{1}{S} \sum_s \frac{\partial F(p_s)}{\partial x_i}

    Parameters
    ----------
    points
        Points :math:`p_s` between reference and cell, shape ``(n_steps, n_cells, n_genes)``.
    difference
        :math:`x - x'`, shape ``(n_cells, n_genes)``.
    scalar
        :math:`F`, from the points of a step, ``(n_cells, n_genes)``, to ``(n_cells,)``. The value
        of a cell must depend on this cell only.
    create_graph
        Whether the result can be differentiated in the weights.

    Returns
    -------
    Attributions, shape ``(n_cells, n_genes)``.
    """
    total = torch.zeros_like(difference)
    # Validation disables gradients, but those with respect to the genes are needed.
    with torch.enable_grad():
        for step in points:
            x = step.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(scalar(x).sum(), x, create_graph=create_graph)
            total = total + gradient
    return difference * total / len(points)


def transformed(attributions: Tensor, transform: Transform) -> Tensor:
    """Scale the attributions of each cell to [0, 1].

    ``"abs_minmax"`` scales the absolute values of a cell from their minimum to their maximum,
    ``"sigmoid"`` applies the sigmoid, and ``"abs_share"`` and ``"square_share"`` divide absolute
    values or squares by their sum over the cell.
    """
    if transform == "sigmoid":
        return torch.sigmoid(attributions)
    if transform == "square_share":
        squares = attributions.square()
        return squares / (squares.sum(1, keepdim=True) + TINY)
    absolute = attributions.abs()
    if transform == "abs_share":
        return absolute / (absolute.sum(1, keepdim=True) + TINY)
    low, high = absolute.amin(1, keepdim=True), absolute.amax(1, keepdim=True)
    return (absolute - low) / (high - low + TINY)


def discrepancy(values: Tensor, truth: Tensor, loss: Loss) -> Tensor:
    r"""Compare transformed attributions :math:`a` with a ground truth :math:`g` in each cell.

    ``"mse"`` is :math:`\frac1n \sum_i (g_i - a_i)^2` and ``"mae"``
    :math:`\frac1n \sum_i |g_i - a_i|` (Eq. 7). ``"excess"``,
    :math:`\frac1n \sum_i \max(0, a_i - g_i)`, penalises only attribution to other genes.
    ``"share"``, :math:`1 - \sum_i g_i a_i / \sum_i a_i`, is the share of the attribution on other
    genes, independent of their number.

    Parameters
    ----------
    values
        Shape ``(n_cells, n_genes)``.
    truth
        Zeros and ones, shape ``(n_cells, n_genes)`` or ``(1, n_genes)``.
    loss
        Name of the loss.

    Returns
    -------
    Loss of each cell, shape ``(n_cells,)``.
    """
    match loss:
        case "mse":
            return (truth - values).square().mean(1)
        case "mae":
            return (truth - values).abs().mean(1)
        case "excess":
            return (values - truth).clamp_min(0).mean(1)
    return 1 - (truth * values).sum(1) / (values.sum(1) + TINY)


def partners(reference: Reference, x: Tensor, z: Tensor | None, labels: Tensor) -> Tensor:
    """Draw a reference for each cell from the other cells of the minibatch.

    Parameters
    ----------
    reference
        ``"minibatch"``: any other cell. ``"label"``: another cell with the same label, if there
        is one. ``"neighbor"``: one of the 15 nearest in the latent space.
    x
        Cells, in random order.
    z
        Latent representation, shape ``(n_cells, n_latent)``; used by ``"neighbor"``.
    labels
        Codes of the labels, shape ``(n_cells,)``; used by ``"label"``.

    Returns
    -------
    Position of the reference of each cell, shape ``(n_cells,)``; the cell itself if there is no
    other.
    """
    n = len(x)
    cells = torch.arange(n, device=x.device)
    if n == 1:
        return cells
    if reference == "minibatch":
        # The cells are in random order, so the same shift gives each a random partner.
        return (cells + torch.randint(1, n, (), device=x.device)) % n
    if reference == "neighbor":
        if z is None:
            raise ValueError("reference='neighbor' needs the latent representation of the cells.")
        distances = torch.cdist(z, z).fill_diagonal_(torch.inf)
        nearest = distances.topk(min(N_NEIGHBORS, n - 1), largest=False).indices
        return nearest[cells, torch.randint(nearest.shape[1], (n,), device=x.device)]
    chances = (labels[:, None] == labels[None, :]).float().fill_diagonal_(0.0)
    alone = chances.sum(1) == 0
    chances[alone, cells[alone]] = 1.0
    return torch.multinomial(chances, 1)[:, 0]
