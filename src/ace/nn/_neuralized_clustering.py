"""A clustering as a two-layer neural network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ace._checks._arguments import number
from ace.nn._log_odds import log_odds


class NeuralizedClustering(nn.Module):
    r"""Clustering by nearest prototypes as a differentiable neural network.

    Each group :math:`c` has one or several prototypes :math:`\mu_j` in a latent space. With
    squared distances :math:`o_j(z) = \lVert z - \mu_j \rVert^2`, the soft distance to a group is

    .. math::
        D_c(z) = -\tfrac{1}{\beta} \log \tfrac{1}{n_c} \sum_{j \in c} \exp(-\beta\, o_j(z)) ,
        \qquad p_c(z) = \mathrm{softmax}_c(-\beta D_c(z)) ,

    with the number :math:`n_c` of its prototypes, and the module returns the log-odds
    :math:`m_c = \log p_c / (1 - p_c)`. With one prototype per group, these are Eq. 4 and 5 of
    :cite:t:`lu2021ace`, the neuralised k-means of :cite:t:`kauffmann2022clustering`. In general,
    :math:`p_c` is the posterior probability of a group that is a mixture of Gaussians around its
    prototypes, with equal weights and the same variance :math:`1 / 2\beta` in every direction. All
    groups have the same prior probability, whatever the number of their prototypes.

    Parameters
    ----------
    prototypes
        Prototypes, shape ``(n_prototypes, n_latent)``.
    group_of
        Group of each prototype, integers of shape ``(n_prototypes,)``. Codes are from 0 to
        ``n_groups - 1``, and each is used at least once.
    beta
        Inverse temperature :math:`\beta > 0`, in inverse squared latent units: the larger, the
        harder the assignment.

    Raises
    ------
    ValueError
        If shapes do not match, a group has no prototype, there are fewer than two groups, a
        prototype is not finite or ``beta`` is not a positive number.

    Notes
    -----
    The term :math:`\lVert z \rVert^2` is the same for all prototypes and cancels, so the first
    layer is linear in :math:`z` (Eq. 6): :math:`-\beta o_j` becomes
    :math:`2\beta\, \mu_j^\top z - \beta \lVert \mu_j \rVert^2`, without differences of large
    squared distances. Prototypes are centred first, which does not change distances.

    Examples
    --------
    >>> import torch
    >>> clustering = NeuralizedClustering(torch.tensor([[0.0], [2.0]]), torch.tensor([0, 1]), 1.0)
    >>> clustering(torch.tensor([[0.0], [1.0]]))  # at a prototype, and halfway
    tensor([[ 4., -4.],
            [ 0.,  0.]])
    """

    prototypes: Tensor
    group_of: Tensor
    _center: Tensor
    _members: Tensor
    _is_padding: Tensor

    def __init__(self, prototypes: Tensor, group_of: Tensor, beta: float) -> None:
        super().__init__()
        if prototypes.ndim != 2 or group_of.shape != prototypes.shape[:1]:
            raise ValueError(
                "prototypes must have the shape (n_prototypes, n_latent), and group_of "
                "one group for each, got shapes "
                f"{tuple(prototypes.shape)} and {tuple(group_of.shape)}."
            )
        sizes = torch.bincount(group_of)
        if len(sizes) < 2 or bool((sizes == 0).any()):
            raise ValueError(
                "group_of must have at least two groups, each with a prototype, got "
                f"{sizes.tolist()} prototypes per group."
            )
        if not bool(torch.isfinite(prototypes).all()):
            raise ValueError("prototypes must be finite, got NaN or infinite values.")
        number(beta, "beta", 0, above=True)
        self.beta = float(beta)
        self.register_buffer("prototypes", prototypes)
        self.register_buffer("group_of", group_of.to(prototypes.device))
        self.register_buffer("_center", prototypes.mean(0))
        # Row c holds the prototypes of group c, padded to the size of the largest group.
        members = torch.zeros(
            len(sizes), int(sizes.max()), dtype=torch.long, device=prototypes.device
        )
        is_padding = torch.ones_like(members, dtype=torch.bool)
        for group, size in enumerate(sizes.tolist()):
            members[group, :size] = torch.nonzero(group_of == group).flatten()
            is_padding[group, :size] = False
        self.register_buffer("_members", members)
        self.register_buffer("_is_padding", is_padding)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self._members)

    def group_logits(self, z: Tensor) -> Tensor:
        r"""Softmax logits :math:`-\beta D_c(z)`, up to a constant shared by all groups.

        Parameters
        ----------
        z
            Latent space, shape ``(n_cells, n_latent)``.

        Returns
        -------
        Logits, shape ``(n_cells, n_groups)``.
        """
        mu = self.prototypes - self._center
        negative_outlierness = self.beta * (2 * (z - self._center) @ mu.T - mu.square().sum(1))
        own = negative_outlierness[:, self._members].masked_fill(self._is_padding, -torch.inf)
        sizes = (~self._is_padding).sum(1)
        # The mean over the prototypes of a group; relative to the largest group, so that nothing
        # is added if all groups have the same number.
        return torch.logsumexp(own, dim=-1) + (sizes.max() / sizes).log()

    def forward(self, z: Tensor) -> Tensor:
        """Log-odds of each group against all others.

        Parameters
        ----------
        z
            Latent space, shape ``(n_cells, n_latent)``.

        Returns
        -------
        Log-odds, shape ``(n_cells, n_groups)``; the argmax is the group with the smallest soft
        distance.
        """
        return log_odds(self.group_logits(z))
