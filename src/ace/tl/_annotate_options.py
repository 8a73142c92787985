"""Options of the network and its training, which :func:`ace.tl.annotate` passes on."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ace.model import SCNYM


def require_known_options(
    model: type[SCNYM], model_kwargs: dict[str, Any], train_options: dict[str, Any]
) -> None:
    """Raise for options that are not arguments of the network, the training or the trainer."""
    from lightning.pytorch import Trainer as LightningTrainer
    from scvi.train import Trainer

    network = set(inspect.signature(model.__init__).parameters) - {"self", "adata", "registry"}
    training = {
        name
        for call in (model.train, Trainer.__init__, LightningTrainer.__init__)
        for name in inspect.signature(call).parameters
    }
    for options, known, name in (
        (model_kwargs, network, "model_kwargs"),
        (train_options, training - {"self", "kwargs", "trainer_kwargs"}, "annotate"),
    ):
        for option in options:
            if option in known:
                continue
            hint = f" Pass model_kwargs={{{option!r}: ...}}." if option in network else ""
            near = difflib.get_close_matches(option, known, n=1)
            hint = hint or (f" Did you mean {near[0]!r}?" if near else "")
            raise TypeError(f"{name} has no option {option!r}.{hint}")
