"""Smallest changes that move individual images to another group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ace._checks._arguments import number
from ace._listed import listed
from ace.explain._frozen import frozen
from ace.explain._method import is_range
from ace.explain._rows import BATCH_SIZE
from ace.explain._scorer import GroupScorer
from ace.explain._solver import Solver, SolverName

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Transitions:
    """Images, and similar images that are assigned to another group.

    Attributes
    ----------
    images
        The original images, shape ``(n_images, height, width)`` or ``(n_images, n_pixels)``.
    perturbed
        The changed images, of the same shape.
    source
        Group that each image is assigned to.
    target
        Target group of each image.
    assigned
        Group that each changed image is assigned to. It may differ from the target, if a third
        group lies between source and target.
    flipped
        Whether the target now scores higher than the source, shape ``(n_images,)``.
    """

    images: np.ndarray
    perturbed: np.ndarray
    source: tuple[str, ...]
    target: tuple[str, ...]
    assigned: tuple[str, ...]
    flipped: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    @property
    def delta(self) -> np.ndarray:
        """Change of each pixel, of the shape of the images."""
        return self.perturbed - self.images

    @property
    def l1(self) -> np.ndarray:
        """Sum of the absolute changes of each image, shape ``(n_images,)``."""
        size: np.ndarray = np.abs(self.delta).reshape(len(self), -1).sum(1)
        return size

    @property
    def n_pixels(self) -> np.ndarray:
        """Number of changed pixels of each image, shape ``(n_images,)``."""
        number: np.ndarray = (self.delta != 0).reshape(len(self), -1).sum(1)
        return number


def transitions(
    scorer: GroupScorer,
    images: Any,
    target: str | int | Sequence[str | int],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    solver: SolverName = "proximal",
    penalty: float = 100.0,
    margin: float = 1.0,
    max_steps: int | None = None,
    step_size: float | None = None,
    tol: float = 0.03,
    restarts: int = 2,
) -> Transitions:
    r"""Find the smallest change that moves each image to another group.

    Each image has its own perturbation, from the group :math:`s` that the scorer assigns it to
    towards a group :math:`t`,

    .. math::
        \min_\delta \lVert \delta \rVert_1
        + \lambda \max\bigl(0, \alpha + m_s(x + \delta) - m_t(x + \delta)\bigr) ,

    with all pixels of :math:`x + \delta` inside ``bounds`` (ACE Eq. 7 and §5.3, Kratos Eq. 13 and
    §6.4). Most pixels do not change at all.

    Parameters
    ----------
    scorer
        The scorer: :func:`fit_centroids` makes one from an embedding, :class:`ClassifierScorer`
        from a classifier. Its input are flattened images.
    images
        Array or tensor of shape ``(n_images, height, width)`` or ``(n_images, n_pixels)``.
    target
        Name of the group to move the images to, or one name per image.
    bounds
        Lowest and highest value of a pixel.
    solver
        ``"proximal"`` (a proximal-linear method, with exact zeros) or ``"subgradient"`` (the
        published plain subgradient steps, for comparison).
    penalty, margin
        :math:`\lambda` and :math:`\alpha`, 100 and 1 as published.
    max_steps, step_size, tol
        See :class:`Adversarial`.
    restarts
        Number of restarts of the proximal solver, from half of the smallest change found: the
        problem has several local minima.

    Returns
    -------
    The images before and after, with their groups.

    Raises
    ------
    ValueError
        If the images have another shape or values outside of ``bounds``, the target is not one
        known group per image, an image is already assigned to its target, or an option is out of
        range.
    TypeError
        If ``scorer`` is not a group scorer.

    Examples
    --------
    A classifier of two pixels, the first with twice the weight of the second:

    >>> import torch
    >>> import ace
    >>> linear = torch.nn.Linear(2, 2, bias=False)
    >>> linear.weight.data = torch.tensor([[2.0, 1.0], [-2.0, -1.0]])
    >>> scorer = ace.explain.ClassifierScorer(linear, ["bright", "dark"])
    >>> found = ace.explain.transitions(
    ...     scorer, [[0.75, 0.25]], "dark", bounds=(-1.0, 1.0), margin=1.0
    ... )
    >>> found.source, found.assigned, found.delta.round(3)
    (('bright',), ('dark',), array([[-1., 0.]], dtype=float32))
    """
    number(margin, "margin")
    if not is_range(bounds) or bounds[0] == bounds[1]:
        raise ValueError(
            f"bounds must be a pair of numbers (lowest, highest), got {bounds!r:.60}."
        )
    solve = Solver(
        solver,
        penalty=penalty,
        max_steps=max_steps,
        step_size=step_size,
        tol=tol,
        restarts=restarts,
    )
    if not isinstance(scorer, GroupScorer):
        raise TypeError(
            f"scorer must be a group scorer, got {type(scorer).__name__}. Wrap a network with "
            "ace.explain.ClassifierScorer(network, groups) or ace.explain.fit_centroids."
        )
    given = _as_images(images, bounds)
    flat = torch.from_numpy(given.reshape(len(given), -1)).to(scorer.device)
    to = _codes(target, scorer.groups, len(given)).to(scorer.device)

    with torch.enable_grad(), frozen(scorer):
        perturbed = torch.empty_like(flat)
        before, after = torch.empty_like(to), torch.empty_like(to)
        flipped = torch.empty(len(flat), dtype=torch.bool)
        for start in range(0, len(flat), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            before[part] = _assigned(scorer, flat[part])
        there = torch.nonzero(before == to).flatten().tolist()
        if there:
            raise ValueError(
                f"images {there[:5]}{' and more' if len(there) > 5 else ''} are already assigned "
                "to their target: leave them out, or choose another target."
            )
        for start in range(0, len(flat), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            pair = torch.stack([before[part], to[part]], 1)
            perturbed[part] = _perturb(scorer, flat[part], pair, solve, margin, bounds)
            after[part] = _assigned(scorer, perturbed[part])
            with torch.no_grad():
                flipped[part] = (_gap(scorer, perturbed[part], pair) < 0).cpu()
    name = scorer.groups.__getitem__
    return Transitions(
        images=given,
        perturbed=perturbed.cpu().numpy().reshape(given.shape),
        source=tuple(map(name, before.tolist())),
        target=tuple(map(name, to.tolist())),
        assigned=tuple(map(name, after.tolist())),
        flipped=flipped.numpy(),
    )


def _as_images(images: Any, bounds: tuple[float, float]) -> np.ndarray:
    """Check the images, and copy them to a float32 array."""
    values = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    values = np.array(values, dtype=np.float32, order="C")
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise ValueError(
            "images must have shape (n_images, height, width) or (n_images, n_pixels), got "
            f"{values.shape}. Pass a single image as image[None]."
        )
    low, high = values.min(), values.max()
    if not (low >= bounds[0] and high <= bounds[1]):  # also if a value is NaN
        raise ValueError(
            f"images must be within bounds={bounds}, but range from {low:g} to {high:g}. Scale "
            "them as for the training of the network, or pass other bounds."
        )
    return values


def _codes(target: str | int | Sequence[str | int], groups: tuple[str, ...], n: int) -> Tensor:
    """Code of the target of each image."""
    # Names of groups are strings, also if they are numbers.
    single = isinstance(target, str) or np.ndim(target) == 0
    names = [str(target)] * n if single else [str(t) for t in target]  # type: ignore[union-attr]
    if len(names) != n:
        raise ValueError(
            f"target must be one group or one for each of {n} images, got {len(names)}."
        )
    unknown = sorted(set(names) - set(groups))
    if unknown:
        raise ValueError(
            f"target {unknown} is not a group of the scorer, which has {listed(groups)}."
        )
    return torch.tensor([groups.index(name) for name in names])


def _assigned(scorer: GroupScorer, x: Tensor) -> Tensor:
    with torch.no_grad():
        codes: Tensor = scorer(x).argmax(1)
    return codes


def _gap(scorer: GroupScorer, x: Tensor, pair: Tensor) -> Tensor:
    """Difference that must become negative, shape ``(n_images,)``."""
    m = scorer(x).gather(1, pair)
    return m[:, 0] - m[:, 1]


def _perturb(
    scorer: GroupScorer,
    x: Tensor,
    pair: Tensor,
    solve: Solver,
    margin: float,
    bounds: tuple[float, float],
) -> Tensor:
    def hinge(delta: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        delta = delta.detach().requires_grad_()
        value = margin + _gap(scorer, x[active] + delta, pair[active])
        (gradient,) = torch.autograd.grad(value.sum(), delta)
        return value.detach(), gradient

    delta = solve(
        hinge, (len(x), x.shape[1]), lower=bounds[0] - x, upper=bounds[1] - x, device=x.device
    )
    return (x + delta).clamp(*bounds)  # rounding errors may exceed the bounds
