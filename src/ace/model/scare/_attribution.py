r"""The attribution loss: which genes a scalar of the model depends on, against those it should.

All of it is differentiable in the weights of the model, so that it can be trained with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

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

#: Steps from the zero cell in integrated gradients: the published number of Kratos.
N_STEPS = 20
#: Nearest cells of a minibatch that a reference is drawn from.
N_NEIGHBORS = 15
#: Against 0 / 0, where nothing is attributed to any gene.
TINY = 1e-12


def paths(
    x: Tensor, attribution: Attribution, references: Tensor | None, n_steps: int = N_STEPS
) -> tuple[Tensor, Tensor]:
    r"""Points between references and cells, and the way from the one to the other.

    Parameters
    ----------
    x
        Cells, shape ``(n_cells, n_genes)``.
    attribution
        ``"expected_gradients"`` takes one point at random, :math:`\alpha \sim U(0, 1)`, on the way
        from each cell's reference; ``"integrated_gradients"`` the middles of ``n_steps`` equal
        parts of the way from 0.
    references
        A reference of each cell; unused by integrated gradients.
    n_steps
        Points of integrated gradients.

    Returns
    -------
    Points of shape ``(n_steps, n_cells, n_genes)``, with one step for expected gradients, and
    differences of shape ``(n_cells, n_genes)``.
    """
    if attribution == "integrated_gradients":
        alpha = (torch.arange(n_steps, device=x.device) + 0.5) / n_steps
        return alpha[:, None, None] * x, x
    if references is None:
        raise ValueError("expected gradients need a reference of each cell.")
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
        :math:`F`, from all points of a step, ``(n_cells, n_genes)``, to ``(n_cells,)``. A cell's
        value must depend on this cell alone.
    create_graph
        Whether the result is to be differentiated in the weights.

    Returns
    -------
    Attributions, shape ``(n_cells, n_genes)``.
    """
    total = torch.zeros_like(difference)
    # Gradients in the genes are needed where none in the weights are: in validation.
    with torch.enable_grad():
        for step in points:
            x = step.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(scalar(x).sum(), x, create_graph=create_graph)
            total = total + gradient
    return difference * total / len(points)


def transformed(attributions: Tensor, transform: Transform) -> Tensor:
    """Bring attributions into [0, 1], each cell by itself.

    ``"abs_minmax"``: absolute values, the smallest of a cell 0 and the largest 1. ``"sigmoid"``:
    of the attributions as they are. ``"abs_share"`` and ``"square_share"``: absolute values or
    squares as shares of the cell's sum.
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
    r"""Compare transformed attributions :math:`a` with a ground truth :math:`g`, for each cell.

    ``"mse"`` is :math:`\frac1n \sum_i (g_i - a_i)^2` and ``"mae"``
    :math:`\frac1n \sum_i |g_i - a_i|` (Eq. 7). ``"excess"`` is
    :math:`\frac1n \sum_i \max(0, a_i - g_i)`: attribution where none should be costs, a lack of it
    does not. ``"share"`` is the part of the attribution that lies on other genes,
    :math:`1 - \sum_i g_i a_i / \sum_i a_i`, whatever their number.

    Parameters
    ----------
    values
        Shape ``(n_cells, n_genes)``.
    truth
        0 and 1, shape ``(n_cells, n_genes)`` or ``(1, n_genes)``.
    loss
        Which.

    Returns
    -------
    Shape ``(n_cells,)``.
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
    """Draw a reference for each cell: the position of another cell of the minibatch.

    Parameters
    ----------
    reference
        ``"minibatch"``: any other cell. ``"label"``: another cell of the same label, where there
        is one. ``"neighbor"``: one of the nearest 15 in the latent space.
    x
        Cells, in random order.
    z
        Their latent representation, shape ``(n_cells, n_latent)``; for ``"neighbor"`` only.
    labels
        Codes of their labels, shape ``(n_cells,)``; for ``"label"`` only.

    Returns
    -------
    Positions, shape ``(n_cells,)``; its own of a cell that is alone.
    """
    n = len(x)
    cells = torch.arange(n, device=x.device)
    if n == 1:
        return cells
    if reference == "minibatch":
        # The order is random already, so that any fixed partner is a random one.
        return (cells + torch.randint(1, n, (), device=x.device)) % n
    if reference == "neighbor":
        if z is None:
            raise ValueError("neighbours are those of a latent space.")
        distances = torch.cdist(z, z).fill_diagonal_(torch.inf)
        nearest = distances.topk(min(N_NEIGHBORS, n - 1), largest=False).indices
        return nearest[cells, torch.randint(nearest.shape[1], (n,), device=x.device)]
    chances = (labels[:, None] == labels[None, :]).float().fill_diagonal_(0.0)
    alone = chances.sum(1) == 0
    chances[alone, cells[alone]] = 1.0
    return torch.multinomial(chances, 1)[:, 0]
