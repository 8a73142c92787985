"""Log-odds of one class against all others."""

from __future__ import annotations

import torch
from torch import Tensor


def log_odds(logits: Tensor) -> Tensor:
    r"""Log-odds of each group against all others, from softmax logits.

    With :math:`p = \mathrm{softmax}(z)`,

    .. math::
        m_c = \log \frac{p_c}{1 - p_c} = z_c - \log \sum_{k \neq c} \exp z_k ,

    which neither under- nor overflows where :math:`p_c` is 0 or 1 in floating point
    (Eq. 5 of :cite:t:`lu2021ace`, for any classifier).

    Parameters
    ----------
    logits
        Tensor of shape ``(n_cells, n_groups)``, at least two groups.

    Returns
    -------
    Tensor of shape ``(n_cells, n_groups)``.

    Raises
    ------
    ValueError
        If there are fewer than two groups.

    Examples
    --------
    >>> import torch
    >>> log_odds(torch.tensor([[1.0, 3.0]]))
    tensor([[-2.,  2.]])
    """
    n_groups = logits.shape[-1]
    if n_groups < 2:
        raise ValueError(f"log-odds need at least two groups, got {n_groups}.")
    best = torch.nn.functional.one_hot(logits.argmax(-1), n_groups).bool()
    # Without the largest, the sum is taken anew; without any other, it is the whole sum less at
    # most a half. Neither subtracts two numbers that are nearly alike.
    without_best = torch.logsumexp(logits.masked_fill(best, -torch.inf), -1, keepdim=True)
    p = torch.softmax(logits, -1).masked_fill(best, 0.0)
    without_other = torch.logsumexp(logits, -1, keepdim=True) + torch.log1p(-p)
    return logits - torch.where(best, without_best, without_other)
