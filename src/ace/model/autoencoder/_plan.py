"""Training of ACE: reconstruction first, then with the clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from scvi import REGISTRY_KEYS

from ace.model.training._plan import EpochPlan

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ace.model.autoencoder._clusters import Recluster
    from ace.model.autoencoder._module import AceModule

#: Learning rate of gene selectors relative to other weights; they must converge in half the steps.
SELECTOR_SPEED = 10.0
#: Fraction of the steps in which genes are selected; then the selection is fixed.
SELECTING = 0.5


class AceTrainingPlan(EpochPlan):
    """Training of the autoencoder, logged once per epoch.

    Logs ``train_loss`` and its unweighted terms (``train_reconstruction``,
    ``train_batch``, ``train_cluster``, …), and the same for ``validation``.

    Parameters
    ----------
    module
        The autoencoder.
    weights
        Weight of each term beside the reconstruction: ``batch``, ``cluster``, ``id``,
        ``distance``. A term of weight 0 is not computed.
    recluster
        Finds the clusters before each epoch; ``None`` for no clustering. A cell keeps its cluster
        for an epoch, as in the two steps of k-means.
    warmup_epochs
        Epochs before the clusters are used.
    **kwargs
        ``lr`` and ``weight_decay`` of Adam, or ``optimizer_creator``, which creates another
        optimizer from the parameters.
    """

    module: AceModule
    watched = "reconstruction"

    def __init__(
        self,
        module: AceModule,
        weights: dict[str, float],
        *,
        recluster: Recluster | None = None,
        warmup_epochs: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, **kwargs)
        self.weights = weights
        self.recluster = recluster if weights["cluster"] else None
        self.warmup_epochs = warmup_epochs
        self.centroids: np.ndarray | None = None
        self._targets: tuple[Tensor, Tensor] | None = None

    def step(self, batch: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
        """Return the terms of the loss of a minibatch."""
        x = batch[REGISTRY_KEYS.X_KEY]
        centroids, cluster = self._targets or (None, None)
        if cluster is not None:
            cluster = cluster[batch[REGISTRY_KEYS.INDICES_KEY]]
            if not self.training and bool((cluster < 0).all()):
                cluster = None  # not a training cell: the nearest
        terms = self.module.loss_terms(
            x,
            batch=batch[REGISTRY_KEYS.BATCH_KEY] if self.weights["batch"] else None,
            centroids=centroids,
            cluster=cluster,
            regularise=bool(self.weights["id"] or self.weights["distance"]),
        )
        loss = torch.stack([self.weights.get(k, 1.0) * term for k, term in terms.items()]).sum()
        # Terms that are added later are NaN in the history until then.
        expected = {"cluster"} if self.recluster is not None else set()
        expected |= {"crowding"} if self.module.selector is not None else set()
        absent = {name: torch.full_like(loss, torch.nan) for name in expected - terms.keys()}
        return len(x), {"loss": loss} | terms | absent

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Anneal the selectors, and fix them after half of the steps."""
        selector = self.module.selector
        if selector is None or not self.module.selects:
            return
        n_steps = SELECTING * float(self.trainer.estimated_stepping_batches)
        selector.progress = self.global_step / n_steps
        if selector.progress >= 1:
            selector.settle()

    def on_train_end(self) -> None:
        """Fix the selected genes if training ended early."""
        if self.module.selector is not None and self.module.selects:
            self.module.selector.settle()
        super().on_train_end()

    def progress(self) -> dict[str, Any]:
        """Centroids, for a checkpoint."""
        return {"centroids": None if self.centroids is None else torch.tensor(self.centroids)}

    def go_on_from(self, progress: dict[str, Any]) -> None:
        """Restore the centroids from a checkpoint."""
        centroids = progress["centroids"]
        self.centroids = None if centroids is None else centroids.cpu().numpy()

    def on_train_epoch_start(self) -> None:
        """Update the clusters."""
        super().on_train_epoch_start()
        if self.recluster is not None and self.current_epoch >= self.warmup_epochs:
            self.centroids, cluster = self.recluster(self.centroids)
            self.module.train()
            self._targets = (
                torch.from_numpy(self.centroids).to(self.device, torch.float32),
                torch.from_numpy(cluster).to(self.device),
            )

    def parameter_groups(self) -> list[Any]:
        """Return the parameters; selectors have their own learning rate."""
        parameters = super().parameter_groups()
        if self.module.selector is None:
            return parameters
        own = {id(p) for p in self.module.selector.parameters()}
        return [
            {"params": [p for p in parameters if id(p) not in own]},
            {"params": [p for p in parameters if id(p) in own], "lr": SELECTOR_SPEED * self.lr},
        ]
