"""Log-odds of one class against all others."""

from __future__ import annotations

import torch
from torch import Tensor


def log_odds(logits: Tensor) -> Tensor:
    r"""Log-odds of each group against all others, from softmax logits.

    With :math:`p = \mathrm{softmax}(z)`,

    .. math::
        m_c = \log \frac{p_c}{1 - p_c} = z_c - \log \sum_{k \neq c} \exp z_k ,

    (Eq. 5 of :cite:t:`lu2021ace`, for any classifier). The computation is stable even if
    :math:`p_c` rounds to 0 or 1.

    Parameters
    ----------
    logits
        Softmax logits, shape ``(n_cells, n_groups)``, with at least two groups.

    Returns
    -------
    Log-odds, shape ``(n_cells, n_groups)``.

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
        raise ValueError(f"logits must have at least two groups, got {n_groups}.")
    best = torch.nn.functional.one_hot(logits.argmax(-1), n_groups).bool()
    # For the largest logit, the sum over the others is computed directly. For any other logit, it
    # is the total minus at most half of it. Neither suffers from cancellation.
    without_best = torch.logsumexp(logits.masked_fill(best, -torch.inf), -1, keepdim=True)
    p = torch.softmax(logits, -1).masked_fill(best, 0.0)
    without_other = torch.logsumexp(logits, -1, keepdim=True) + torch.log1p(-p)
    return logits - torch.where(best, without_best, without_other)
