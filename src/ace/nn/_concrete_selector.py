"""A layer that chooses features, differentiable while it learns which."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn


class ConcreteSelector(nn.Module):
    r"""Choose ``n_selected`` of the features: the first layer of a concrete autoencoder.

    Each selector :math:`j` holds one logit a feature. While it learns, its output is a random
    convex combination of the features,

    .. math::
        u_j = \sum_i m_{ji}\, x_i , \qquad
        m_j = \mathrm{softmax}\bigl((\alpha_j + g_j) / T\bigr) ,
        \qquad g_{ji} \sim \mathrm{Gumbel}(0, 1) ,

    whose temperature falls from ``temperature[0]`` to ``temperature[1]`` exponentially with the
    progress of learning, until each selector holds on to one feature :cite:p:`abid2019concrete`.
    In evaluation it is that feature: a hard choice, through which gradients still pass.

    As published, many selectors end on the same few features, others on features that say nothing.
    Additions for this: :meth:`prefer` starts from a prior, the :meth:`crowding` of features can be
    penalised, and :meth:`settle` ends the learning with the best assignment of different features.

    Parameters
    ----------
    n_features
        Number of features.
    n_selected
        Number of selectors.
    temperature
        First and last temperature.

    Raises
    ------
    ValueError
        If there are more selectors than features, or temperatures do not fall.

    Examples
    --------
    >>> import torch
    >>> selector = ConcreteSelector(5, 2).eval()
    >>> selector(torch.arange(5.0).unsqueeze(0)).shape
    torch.Size([1, 2])
    """

    chosen: Tensor
    _prior: Tensor

    def __init__(
        self, n_features: int, n_selected: int, temperature: tuple[float, float] = (10.0, 0.01)
    ) -> None:
        super().__init__()
        if not 1 <= n_selected <= n_features:
            raise ValueError(
                f"n_selected must lie between 1 and the {n_features} features, got {n_selected}."
            )
        if not temperature[0] >= temperature[1] > 0:
            raise ValueError(
                f"temperatures must be positive and fall, got {temperature[0]} → {temperature[1]}."
            )
        self.temperature_range = temperature
        self.logits = nn.Parameter(torch.empty(n_selected, n_features))
        nn.init.xavier_normal_(self.logits)
        self.register_buffer("chosen", torch.full((n_selected,), -1))
        self.register_buffer("_prior", torch.zeros(n_features), persistent=False)
        #: How far the learning is, from 0 to 1.
        self.progress = 0.0

    @property
    def temperature(self) -> float:
        """Temperature at this point of the learning."""
        first, last = self.temperature_range
        return first * (last / first) ** min(max(self.progress, 0.0), 1.0)

    @property
    def is_settled(self) -> bool:
        """Whether the choice has been made for good."""
        return bool((self.chosen >= 0).all())

    @property
    def selected(self) -> Tensor:
        """Feature of each selector, shape ``(n_selected,)``; all different once it is settled."""
        return self.chosen if self.is_settled else self.logits.argmax(1)

    @torch.no_grad()
    def prefer(self, importance: Tensor) -> None:
        """Start from probabilities in proportion to some importance, shape ``(n_features,)``."""
        share = importance.to(self.logits) / importance.sum().to(self.logits)
        prior = torch.log(share.clamp_min(1e-3 / len(share)))
        self.logits.add_(prior - self._prior)  # in place of what was preferred before
        self._prior = prior

    @torch.no_grad()
    def settle(self) -> None:
        """Give each selector a feature of its own, such that the logits sum to the most."""
        _, columns = linear_sum_assignment(self.logits.cpu().numpy(), maximize=True)
        self.chosen.copy_(torch.from_numpy(columns))

    def crowding(self) -> Tensor:
        r"""Share of the selectors that are too many on a feature.

        :math:`\tfrac{1}{K} \sum_i \max(0, \sum_j p_{ji} - 1)` with
        :math:`p_j = \mathrm{softmax}(\alpha_j / T)`: 0 where no feature is wanted by more than one
        of the :math:`K` selectors.
        """
        wanted = torch.softmax(self.logits / self.temperature, dim=1).sum(0)
        return (wanted - 1).clamp_min(0).sum() / len(self.logits)

    def forward(self, x: Tensor) -> Tensor:
        """Shape ``(n_cells, n_features)`` → ``(n_cells, n_selected)``."""
        if not self.training or self.is_settled:
            return x[:, self.selected]
        uniform = torch.rand_like(self.logits).clamp_(1e-10, 1 - 1e-7)
        gumbel = -torch.log(-torch.log(uniform))
        return x @ torch.softmax((self.logits + gumbel) / self.temperature, dim=1).T
