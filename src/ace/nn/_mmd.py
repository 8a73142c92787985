"""How far batches lie apart in a latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Bandwidths as multiples of the mean squared distance: they mean the same in any latent space.
RELATIVE_BANDWIDTHS = (0.05, 0.2, 0.5, 1.0, 2.0)


def batch_discrepancy(
    z: Tensor, batch: Tensor, bandwidths: Sequence[float] | None = None
) -> Tensor:
    r"""Mean squared maximum mean discrepancy (MMD) between the batches of a minibatch.

    For two batches :math:`a, b` with the kernel :math:`k`, a mean of Gaussians of several widths,

    .. math::
        \mathrm{MMD}^2 = \mathbb{E}\,k(z_a, z_a') + \mathbb{E}\,k(z_b, z_b')
        - 2\,\mathbb{E}\,k(z_a, z_b) ,

    :cite:p:`gretton2012kernel`, estimated without the pairs of a cell with itself, so that its
    mean does not depend on how many cells of a batch happen to be in the minibatch. It is
    averaged over all pairs of batches, each weighted by the number of pairs of cells that it
    rests on: one kernel matrix serves any number of batches, and no batch is the reference.

    Parameters
    ----------
    z
        Latent representation, shape ``(n_cells, n_latent)``.
    batch
        Batch of each cell, non-negative integers, shape ``(n_cells,)``.
    bandwidths
        Widths :math:`\sigma` of :math:`\exp(-\lVert z - z' \rVert^2 / 2\sigma)` in squared latent
        units. ``None`` takes multiples of the mean squared distance
        in the minibatch, so that the discrepancy does not fall by shrinking the latent space.

    Returns
    -------
    Scalar, 0 on average where batches are distributed alike; exactly 0 where fewer than two
    batches have the two cells that an estimate needs.

    Examples
    --------
    >>> import torch
    >>> z = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    >>> bool(batch_discrepancy(z, torch.tensor([0, 0, 1, 1])) > 0.5)
    True
    >>> batch_discrepancy(z, torch.tensor([0, 0, 0, 1]))
    tensor(0.)
    """
    sizes = torch.bincount(batch)
    usable = sizes >= 2
    if int(usable.sum()) < 2:
        return (z * 0.0).sum()
    keep = usable[batch]
    z, batch, sizes = z[keep], batch[keep], sizes[usable].to(z)
    member = torch.nn.functional.one_hot(batch, len(usable))[:, usable].to(z)
    squared = (z.unsqueeze(1) - z).square().sum(-1)
    if bandwidths is None:
        unit = squared.detach().mean().clamp_min(1e-12)
        widths = [unit * width for width in RELATIVE_BANDWIDTHS]
    else:
        widths = [squared.new_tensor(width) for width in bandwidths]
    kernel = torch.stack([torch.exp(-squared / (2 * width)) for width in widths]).mean(0)
    total = member.T @ kernel @ member
    # A cell's kernel with itself is 1.
    within = (total.diagonal() - sizes) / (sizes * (sizes - 1))
    between = total / torch.outer(sizes, sizes)
    squared_mmd = within.unsqueeze(0) + within.unsqueeze(1) - 2 * between
    weight = torch.outer(sizes, sizes).triu(1)
    return (weight * squared_mmd).sum() / weight.sum()
