"""A model with a latent space: how it is split, trained, asked for cells, and explained."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from mudata import MuData
from scvi import REGISTRY_KEYS

from ace.explain import EmbeddingScorer, fit_clustering
from ace.model._base import GeneModel
from ace.model._loaders import given_split, split_cells
from ace.model._training import flushed_denormals, quiet_trainer, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anndata import AnnData
    from lightning.pytorch import LightningModule

    from ace.model._loaders import SplitCells
    from ace.model._reader import MatrixReader
    from ace.model._training import BestWeights
    from ace.nn import NeuralizedClustering


class Part(torch.nn.Module):
    """One output of a network, or some columns of it, as a module of its own, for the scorers."""

    def __init__(
        self,
        network: torch.nn.Module,
        output: Literal["embed", "classify"],
        columns: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._output = output
        self._columns = columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = getattr(self.network, self._output)(x)
        return y if self._columns is None else y[:, self._columns]


class LatentModel(GeneModel):
    """Base of the models that embed cells.

    The module of a subclass has ``embed``, from expression as it is in the matrix to the latent
    space, and ``n_latent``.
    """

    #: Set once the model is trained: which cells the rows of the split are.
    split_fingerprint_: str | None = None
    #: Which cells could be split then: those with labels.
    split_eligible_: str | None = None

    # -- which cells are for what --------------------------------------------------------------

    @property
    def _n_epochs_trained(self) -> int:
        history = self.history_ if isinstance(self.history_, dict) else {}
        return len(history.get("train_loss", ()))

    def _split(
        self,
        codes: np.ndarray,
        train_size: float | None,
        validation_size: float | None,
        external_indexing: Sequence[Sequence[int] | np.ndarray | None] | None,
        rng: np.random.Generator,
        default: tuple[float, float | None] | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the training, validation and test cells.

        ``default`` are the sizes of a first training where none are asked for.
        """
        # The split of cells that had labels is none of the cells that have labels now.
        eligible = hashlib.sha256(np.packbits(codes >= 0).tobytes()).hexdigest()
        same = self.split_eligible_ == eligible and self._split_is_of(self.adata)
        self._eligible = (
            eligible  # kept with the split once a training with it has come to its end
        )
        if external_indexing is None and train_size is None and validation_size is None and same:
            return self.train_indices_, self.validation_indices_, self.test_indices_
        if external_indexing is not None:
            if train_size is not None or validation_size is not None:
                raise ValueError("give either external_indexing or sizes, not both.")
            return given_split(external_indexing, codes)
        if train_size is None and validation_size is None and default is not None:
            train_size, validation_size = default
        return split_cells(codes, train_size, validation_size, rng)

    def _split_is_of(self, adata: AnnData | MuData | None) -> bool:
        """Whether the rows of the split are rows of ``adata``."""
        return (
            adata is not None
            and self.split_fingerprint_ is not None
            and self.split_fingerprint_ == self._fingerprint(adata)
        )

    # -- training ------------------------------------------------------------------------------

    def _fit(
        self,
        plan: LightningModule,
        data: SplitCells,
        *,
        seed: int,
        max_epochs: int,
        early_stopping: bool,
        monitor: str,
        mode: str = "min",
        best: BestWeights | None,
        trainer_kwargs: dict[str, Any],
    ) -> None:
        """Run the trainer: seeded, quiet, validated at each epoch, perhaps back to the best."""
        if early_stopping and not data.n_val:
            raise ValueError(
                "early stopping needs validation cells: pass early_stopping=False, or leave room "
                "for them (validation_size=0.1)."
            )
        callbacks = list(trainer_kwargs.pop("callbacks", None) or [])
        if data.n_val:
            if best is not None:
                callbacks.append(best)
            trainer_kwargs.setdefault("check_val_every_n_epoch", 1)
        # Everything is logged once an epoch: never look for something to log at a step.
        trainer_kwargs.setdefault("log_every_n_steps", len(data.train_dataloader()))
        self.module.train()  # a trained module comes in evaluation mode, and would stay in it
        with seeded(seed), flushed_denormals(), quiet_trainer():
            runner = self._train_runner_cls(
                self,
                training_plan=plan,
                data_splitter=data,
                max_epochs=max_epochs,
                early_stopping=early_stopping,
                early_stopping_monitor=monitor,
                early_stopping_mode=mode,
                callbacks=callbacks,
                **trainer_kwargs,
            )
            runner()
        self._add_new_history(runner.trainer)
        self.split_fingerprint_ = self._fingerprint(self.adata)
        self.split_eligible_ = self._eligible

    def _add_new_history(self, trainer: Any) -> None:
        """Keep what only this training logged: scvi-tools goes on with what the first did."""
        logged = getattr(trainer.logger, "history", None)
        if not isinstance(logged, dict) or not isinstance(self.history_, dict):
            return
        for name, frame in logged.items():
            if name not in self.history_:
                self.history_[name] = frame.set_axis(
                    frame.index + self._n_epochs_trained - len(frame)
                ).rename_axis(frame.index.name)

    # -- using it ------------------------------------------------------------------------------

    def get_latent_representation(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Embed cells.

        Parameters
        ----------
        adata
            Cells to embed; ``None`` for those of the model.
        indices
            Rows (or a Boolean mask) to embed; ``None`` for all.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.

        Returns
        -------
        Latent representation, float32, shape ``(n_cells, n_latent)``: the latent space of an
        autoencoder, the activations of the last hidden layer of a classifier.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If genes are missing, or the matrix holds NaN or infinite values, or values of another
            kind than those that the model was trained on.

        Warns
        -----
        UserWarning
            If the values may be of another kind, or were normalised to another total.
        """
        self._require_trained()
        reader = self._reader(adata)
        return self._embed(reader, self._rows(indices, len(reader)), batch_size)

    def _embed(
        self, reader: MatrixReader, rows: np.ndarray, batch_size: int | None = None
    ) -> np.ndarray:
        return self._outputs(
            self.module.embed, self.module.n_latent, reader, rows, batch_size
        ).numpy()

    @torch.inference_mode()
    def _outputs(
        self,
        output: Callable[..., torch.Tensor],
        n_columns: int,
        reader: MatrixReader,
        rows: np.ndarray,
        batch_size: int | None,
        beside: Sequence[np.ndarray | None] = (),
    ) -> torch.Tensor:
        """What the network says of cells, ``(n_cells, n_columns)``, on the CPU.

        ``beside`` are arrays, a row for each cell of the reader, that it takes after the genes.
        """
        self.module.eval()
        # One block from the start: small results kept between large minibatches that come and go
        # scatter the memory, of which much more is then taken than is in use.
        result = torch.empty(len(rows), n_columns)
        start = 0
        for x in self._minibatches(reader, rows, batch_size):
            here = rows[start : start + len(x)]
            more = (None if a is None else torch.from_numpy(a[here]).to(x.device) for a in beside)
            result[start : start + len(x)] = output(x, *more)
            start += len(x)
        return result

    def _prototype_scorer(
        self,
        adata: AnnData | MuData | None,
        values: pd.Series,
        *,
        n_prototypes: int | None,
        batch_size: int | None,
        random_state: int,
    ) -> EmbeddingScorer:
        """Score any grouping by prototypes in the latent space, on a copy of the weights."""
        codes, names = self._groups(values)
        clustering = fit_clustering(
            self.get_latent_representation(adata, batch_size=batch_size),
            codes,
            n_prototypes=n_prototypes,
            seed=random_state,
        )
        return self._embedding_scorer(clustering, names)

    @staticmethod
    def _groups(values: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
        """Codes and names of a grouping that every cell must be in."""
        groups = pd.Categorical(values).remove_unused_categories()
        if (groups.codes < 0).any():
            raise ValueError(
                f"adata.obs[{values.name!r}] is missing for {(groups.codes < 0).sum()} cells: "
                "leave them out or give them a category."
            )
        return groups.codes.astype(np.int64), tuple(str(c) for c in groups.categories)

    def _embedding_scorer(
        self, clustering: NeuralizedClustering, names: tuple[str, ...]
    ) -> EmbeddingScorer:
        """Put a clustering on a copy of the encoder."""
        network = copy.deepcopy(self.module).eval()
        scorer = EmbeddingScorer(Part(network, "embed"), clustering, names, self._feature_names)
        return scorer.to(self.device).eval().requires_grad_(False)

    @property
    def _feature_names(self) -> tuple[str, ...]:
        return tuple(str(gene) for gene in self.var_names)

    # -- columns of obs ------------------------------------------------------------------------

    def _state_of(self, registry_key: str) -> dict[str, Any] | None:
        """What the registry knows of labels or batches, ``None`` if there are none."""
        field = self.registry_["field_registries"].get(registry_key)
        return None if field is None else field["state_registry"]

    def _holder(self, adata: AnnData | MuData | None, registry_key: str) -> AnnData | MuData:
        """Give the object whose ``obs`` holds labels or batches: a modality, or the whole."""
        adata = self.adata if adata is None else adata
        field = self.registry_["field_registries"].get(registry_key, {})
        modality = field.get("data_registry", {}).get("mod_key")
        return adata if modality is None or not isinstance(adata, MuData) else adata.mod[modality]

    def _registered_codes(self, registry_key: str) -> np.ndarray:
        """Code of each of the model's own cells, 0 if nothing was registered, -1 if unknown."""
        cells, state = self._holder(None, registry_key), self._state_of(registry_key)
        if state is None:
            return np.zeros(self.adata.n_obs, dtype=np.int64)
        if state["original_key"] not in cells.obs:
            return np.full(self.adata.n_obs, -1, dtype=np.int64)
        values = cells.obs[state["original_key"]].to_numpy()
        return pd.Index(state["categorical_mapping"]).get_indexer(values).astype(np.int64)

    def _column(self, adata: AnnData | MuData | None, groupby: str) -> pd.Series:
        """Column of ``obs`` of the modality that is read, of the labels', or of the MuData."""
        cells = self._cells(adata)
        labelled = self._holder(adata, REGISTRY_KEYS.LABELS_KEY)
        for candidate in (cells, labelled, self.adata if adata is None else adata):
            if groupby in candidate.obs:
                return candidate.obs[groupby]
        raise KeyError(f"no column {groupby!r} in adata.obs; its columns are {list(cells.obs)}.")
