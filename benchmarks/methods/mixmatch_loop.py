"""MixMatch against an adversary, as a script would have it: the least one can write in PyTorch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ace.model import SCNYM
from ace.model.scnym import Recipe


class _Reversed(torch.autograd.Function):
    """The same values; the gradient times a negative weight."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, weight: float) -> torch.Tensor:
        ctx.weight = weight
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.weight * gradient, None


class Network(nn.Module):
    """Hidden layers, classifier and adversary, with the initial weights of a model."""

    def __init__(self, model: SCNYM) -> None:
        super().__init__()
        modules = [copy.deepcopy(m) for m in model.module.modules()]
        *hidden, self.classifier, first, last = [m for m in modules if isinstance(m, nn.Linear)]
        norms = [m for m in modules if isinstance(m, nn.BatchNorm1d)]
        rate = next(m.p for m in modules if isinstance(m, nn.Dropout))
        layers: list[nn.Module] = []
        for linear, norm in zip(hidden, norms, strict=True):
            layers += [linear, norm, nn.ReLU(), nn.Dropout(rate)]
        self.encoder = nn.Sequential(*layers)
        self.adversary = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the types."""
        return self.classifier(self.encoder(x))


class MixMatchLoop:
    """Training by the recipe of a model (with MixMatch, adversary and teacher), from its weights.

    Labelled and unlabelled cells × genes are tensors in memory, or sparse matrices whose rows are
    made dense in each minibatch; ``codes`` are the classes of the labelled cells.
    """

    def __init__(
        self,
        model: SCNYM,
        recipe: Recipe,
        labelled: Any,
        unlabelled: Any,
        codes: np.ndarray,
        n_epochs: int,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        self.network = Network(model)
        self.teacher = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = recipe.new_optimizer(self.network.parameters())
        self.recipe, self.size = recipe, batch_size
        self.labelled, self.unlabelled = labelled, unlabelled
        self.codes = torch.from_numpy(codes)
        self.n_steps = math.ceil(max(labelled.shape[0], unlabelled.shape[0]) / batch_size)
        self.n_all_steps, self.done = n_epochs * self.n_steps, 0
        sizes = np.bincount(codes)
        even = 1 / (sizes > 0).sum() / np.maximum(sizes, 1)
        self.share = (recipe.balance * even + (1 - recipe.balance) / len(codes))[codes]
        self.rng = np.random.default_rng(seed)
        self.followers, self.leaders = (
            [t.detach() for t in chain(n.parameters(), n.buffers()) if t.is_floating_point()]
            for n in (self.teacher, self.network)
        )

    def epoch(self) -> None:
        """One epoch over labelled and unlabelled cells."""
        n, n_unlabelled = self.n_steps * self.size, self.unlabelled.shape[0]
        first = self.rng.choice(len(self.codes), n, p=self.share)
        rounds = [self.rng.permutation(n_unlabelled) for _ in range(-(-n // n_unlabelled))]
        second = np.concatenate(rounds)[:n]
        self.network.train()
        for start in range(0, n, self.size):
            rows, others = (order[start : start + self.size] for order in (first, second))
            x, u = _dense(self.labelled, rows), _dense(self.unlabelled, others)
            loss = self._loss(x, self.codes[rows], u)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.done += 1
            decay = min(self.recipe.teacher_decay or 0.0, 1 - 1 / (self.done + 1))
            torch._foreach_lerp_(self.followers, self.leaders, 1 - decay)

    def _loss(self, x: torch.Tensor, codes: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        recipe, n = self.recipe, len(x)
        with torch.no_grad():
            guess = torch.softmax(self.teacher(u), dim=1)
            sure = guess.amax(1) >= recipe.confidence_threshold
            guess = guess[sure] ** (1 / recipe.sharpening)
            guess /= guess.sum(1, keepdim=True)
        cells = torch.cat([x, u[sure]])
        target = torch.cat([F.one_hot(codes, guess.shape[1]).float(), guess])
        share = torch.distributions.Beta(recipe.mixup_alpha, recipe.mixup_alpha)
        share = share.sample((len(cells), 1))
        share = torch.maximum(share, 1 - share)
        partner = torch.randperm(len(cells))
        logits = self.network(torch.lerp(cells[partner], cells, share))
        target = torch.lerp(target[partner], target, share)
        loss = F.cross_entropy(logits[:n], target[:n])
        if len(guess):
            error = (torch.softmax(logits[n:], dim=1) - target[n:]).square().sum(1).mean()
            loss = loss + recipe.ssl_weight * self._ramp(recipe.ssl_ramp_epochs) * error
        if not recipe.adversary_confident_only:
            cells = torch.cat([x, u])
        weight = recipe.adversary_weight * self._ramp(recipe.adversary_ramp_epochs)
        z = _Reversed.apply(self.network.encoder(cells), weight)
        domains = (torch.arange(len(cells)) >= n).long()
        return loss + F.cross_entropy(self.network.adversary(z), domains)

    def _ramp(self, epochs: int | None) -> float:
        n_steps = self.n_all_steps if epochs is None else epochs * self.n_steps
        done = min(self.done / n_steps, 1) if n_steps else 1
        return math.exp(-5 * (1 - done) ** 2)


def _dense(matrix: Any, rows: np.ndarray) -> torch.Tensor:
    if isinstance(matrix, torch.Tensor):
        return matrix[torch.from_numpy(rows)]
    return torch.from_numpy(matrix[rows].toarray())


def timed_epochs(epoch: Callable[[], None], n_epochs: int) -> list[float]:
    """Seconds of each epoch; denormal floats are flushed, as the models do."""
    torch.set_flush_denormal(True)
    seconds = []
    for _ in range(n_epochs):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
    torch.set_flush_denormal(False)
    return seconds
