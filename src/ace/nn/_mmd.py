"""Maximum mean discrepancy between batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Bandwidths as multiples of the mean squared distance, so that they do not depend on its scale.
RELATIVE_BANDWIDTHS = (0.05, 0.2, 0.5, 1.0, 2.0)


def batch_discrepancy(
    z: Tensor, batch: Tensor, bandwidths: Sequence[float] | None = None
) -> Tensor:
    r"""Mean squared maximum mean discrepancy (MMD) between the batches of a minibatch.

    For two batches :math:`a, b` and a kernel :math:`k`, a mean of Gaussians of several bandwidths,

    .. math::
        \mathrm{MMD}^2 = \mathbb{E}\,k(z_a, z_a') + \mathbb{E}\,k(z_b, z_b')
        - 2\,\mathbb{E}\,k(z_a, z_b) ,

    :cite:p:`gretton2012kernel`, by the unbiased estimate that leaves out pairs of a cell with
    itself. The result is the average over all pairs of batches, weighted by their number of pairs
    of cells. No batch is the reference.

    Parameters
    ----------
    z
        Latent representation, shape ``(n_cells, n_latent)``.
    batch
        Batch of each cell, non-negative integers, shape ``(n_cells,)``.
    bandwidths
        Values of :math:`\sigma` in :math:`\exp(-\lVert z - z' \rVert^2 / 2\sigma)`, in squared
        latent units. If ``None``, multiples of the mean squared distance in the minibatch, so that
        shrinking the latent space does not reduce the discrepancy.

    Returns
    -------
    Scalar; 0 on average if the batches have the same distribution, and exactly 0 if fewer than two
    batches have at least two cells.

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
    # The diagonal of the kernel is 1.
    within = (total.diagonal() - sizes) / (sizes * (sizes - 1))
    between = total / torch.outer(sizes, sizes)
    squared_mmd = within.unsqueeze(0) + within.unsqueeze(1) - 2 * between
    weight = torch.outer(sizes, sizes).triu(1)
    return (weight * squared_mmd).sum() / weight.sum()
