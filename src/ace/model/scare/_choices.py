"""Which choices of an ``SCARE`` go together, and what is chosen where nothing was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ace import _checks
from ace.model.scare._attribution import LOSSES, TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ace.model.scare._attribution import Loss, Reference, Transform
    from ace.model.scare._ground_truth import GroundTruth

#: Weight of the attribution loss where none is given: of the share of other genes, by where the
#: references are from, and of the means over all genes, which are small: most genes are never
#: attributed anything.
SHARE_WEIGHTS: dict[str, float] = {"label": 200.0, "neighbor": 60.0, "minibatch": 60.0}
MEAN_WEIGHT = 2e4
#: Arguments of the network whose other values the attribution of the encoder is not made for.
FIXED = {
    "log_variational": True,
    "latent_distribution": "normal",
    "batch_representation": "one-hot",
}
DISPERSIONS = ("gene", "gene-batch", "gene-cell")


def default_weight(losses: Sequence[Loss], reference: Reference) -> float:
    """Weight of the attribution loss of ground truths with these losses.

    Raises
    ------
    ValueError
        If they have different scales.
    """
    if list(losses) == ["share"]:
        return SHARE_WEIGHTS[reference]
    if "share" in losses:
        raise ValueError(
            f"the losses {list(losses)} of the ground truths have different scales: give the "
            'weight, plan_kwargs={"attribution_weight": ...}, and weigh the ground truths.'
        )
    return MEAN_WEIGHT


def check_network(options: dict[str, Any]) -> None:
    """Raise for networks whose encoder cannot be read correctly.

    Raises
    ------
    ValueError
        With what there is instead.
    """
    for name, value in FIXED.items():
        if options.get(name, value) != value:
            raise ValueError(f"{name}={options[name]!r}: an SCARE has {name}={value!r} only.")
    _checks.one_of(options.get("dispersion", "gene"), "dispersion", DISPERSIONS)


def check_target(target: Any) -> None:
    """Raise if the target does not exist.

    Raises
    ------
    ValueError
        With what there is instead.
    """
    if not callable(target):
        _checks.one_of(target, "target", TARGETS)


def check_choices(
    truths: Sequence[GroundTruth],
    *,
    loss: Loss,
    transform: Transform,
    target: Any,
    n_blocks: int | None,
) -> None:
    """Raise if settings are invalid; ``n_blocks`` dimensions are divided, if any.

    Raises
    ------
    ValueError
        With what to choose instead.
    """
    for truth in truths:
        own = loss if truth.loss is None else truth.loss
        _checks.one_of(own, "loss", LOSSES)
        if own == "share" and truth.is_empty:
            raise ValueError(
                "no share of the attribution can lie on no genes. To select few genes, "
                'ground_truth=[], take loss="excess".'
            )
        if truth.is_empty and transform in ("square_share", "abs_share"):
            raise ValueError(
                f"with transform={transform!r} the values of a cell add up to 1 whatever they "
                'are, so that no genes could be selected: take transform="abs_minmax".'
            )
    if n_blocks is None:
        return
    if len(truths) < 2:
        raise ValueError("disjoint=True keeps several ground truths apart: give at least two.")
    if n_blocks < len(truths) + 1:
        raise ValueError(
            f"disjoint=True divides the latent space by {len(truths)} ground truths and what "
            f"belongs to none, which n_latent={n_blocks} is too few for."
        )
    if target == "decoder_sum":
        raise ValueError(
            'disjoint=True is about latent dimensions, and target="decoder_sum" is no function '
            'of one of them: take target="distance".'
        )
