"""Differentiable selection of features."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ace._checks._arguments import whole


class ConcreteSelector(nn.Module):
    r"""Select ``n_selected`` features: the first layer of a concrete autoencoder.

    Each selector :math:`j` has one logit :math:`\alpha_{ji}` per feature. In training, its output
    is a random convex combination of the features,

    .. math::
        u_j = \sum_i m_{ji}\, x_i , \qquad
        m_j = \mathrm{softmax}\bigl((\alpha_j + g_j) / T\bigr) ,
        \qquad g_{ji} \sim \mathrm{Gumbel}(0, 1) ,

    where the temperature :math:`T` decays exponentially from ``temperature[0]`` to
    ``temperature[1]`` during training, until each selector depends on one feature
    :cite:p:`abid2019concrete`. In evaluation mode, the output is this feature, which gradients
    pass through.

    In the published form, several selectors can select the same feature, or uninformative ones.
    Three additions prevent this: :meth:`prefer` starts from a prior, :meth:`crowding` is a penalty
    on duplicates, and :meth:`settle` assigns different features after training.

    Parameters
    ----------
    n_features
        Number of features.
    n_selected
        Number of selectors.
    temperature
        Initial and final temperature.

    Raises
    ------
    ValueError
        If ``n_selected`` is not from 1 to ``n_features``, or the temperatures are not positive or
        increase.

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
        whole(n_features, "n_features")
        whole(n_selected, f"n_selected (of {n_features} features)", 1, n_features)
        if not temperature[0] >= temperature[1] > 0:
            raise ValueError(
                "temperature must be two positive numbers, the second not larger than the first, "
                f"got {temperature}."
            )
        self.temperature_range = temperature
        self.logits = nn.Parameter(torch.empty(n_selected, n_features))
        nn.init.xavier_normal_(self.logits)
        self.register_buffer("chosen", torch.full((n_selected,), -1))
        self.register_buffer("_prior", torch.zeros(n_features), persistent=False)
        #: Progress of the training, from 0 to 1.
        self.progress = 0.0

    @property
    def temperature(self) -> float:
        """Temperature at the current progress."""
        first, last = self.temperature_range
        return first * (last / first) ** min(max(self.progress, 0.0), 1.0)

    @property
    def is_settled(self) -> bool:
        """Whether the selection is final."""
        return bool((self.chosen >= 0).all())

    @property
    def selected(self) -> Tensor:
        """Feature of each selector, shape ``(n_selected,)``; unique once settled."""
        return self.chosen if self.is_settled else self.logits.argmax(1)

    @torch.no_grad()
    def prefer(self, importance: Tensor) -> None:
        """Initialise probabilities in proportion to an importance, shape ``(n_features,)``."""
        share = importance.to(self.logits) / importance.sum().to(self.logits)
        prior = torch.log(share.clamp_min(1e-3 / len(share)))
        self.logits.add_(prior - self._prior)  # replaces an earlier prior
        self._prior = prior

    @torch.no_grad()
    def settle(self) -> None:
        """Assign a different feature to each selector, so that the sum of logits is maximal."""
        _, columns = linear_sum_assignment(self.logits.cpu().numpy(), maximize=True)
        self.chosen.copy_(torch.from_numpy(columns))

    def crowding(self) -> Tensor:
        r"""Fraction of selectors that duplicate the feature of another.

        :math:`\tfrac{1}{K} \sum_i \max(0, \sum_j p_{ji} - 1)` with
        :math:`p_j = \mathrm{softmax}(\alpha_j / T)`; 0 if all :math:`K` selectors have different
        features.
        """
        wanted = torch.softmax(self.logits / self.temperature, dim=1).sum(0)
        return (wanted - 1).clamp_min(0).sum() / len(self.logits)

    def forward(self, x: Tensor) -> Tensor:
        """Select features: shape ``(n_cells, n_features)`` → ``(n_cells, n_selected)``."""
        if not self.training or self.is_settled:
            return x[:, self.selected]
        uniform = torch.rand_like(self.logits).clamp_(1e-10, 1 - 1e-7)
        gumbel = -torch.log(-torch.log(uniform))
        return x @ torch.softmax((self.logits + gumbel) / self.temperature, dim=1).T
