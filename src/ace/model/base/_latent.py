"""A model with a latent space: how it is split, trained, asked for cells, and explained."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from scvi import REGISTRY_KEYS

from ace import _columns
from ace._objects import aligned_obs, is_mudata
from ace.explain import EmbeddingScorer, fit_clustering
from ace.model.base._gene_model import GeneModel
from ace.model.training._fit import fit
from ace.model.training._loaders import given_split, split_cells
from ace.model.training._plan import diverged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.model.base._reader import MatrixReader
    from ace.model.training._loaders import SplitCells
    from ace.model.training._plan import EpochPlan
    from ace.nn import NeuralizedClustering


#: Number of cells whose outputs are checked after training.
N_CELLS_CHECKED, BATCH_CHECKED = 256, 32


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


class NotFiniteError(ValueError):
    """The network's outputs overflow."""


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

    def _fit(self, plan: EpochPlan, data: SplitCells, **options: Any) -> None:
        """Train, and store which cells were trained on."""
        self.split_fingerprint_ = self._fingerprint(self.adata)
        self.split_eligible_ = self._eligible
        fit(self, plan, data, **options)

    def _require_finite_outputs(self) -> None:
        """Raise if outputs of the trained network are not finite for a sample of its cells."""
        rows = np.unique(np.linspace(0, self.adata.n_obs - 1, N_CELLS_CHECKED).astype(np.int64))
        try:
            self._sample_outputs(rows)
        except NotFiniteError as error:
            raise diverged(str(error)) from None

    def _sample_outputs(self, rows: np.ndarray) -> None:
        """Compute the outputs that the model's methods return, for some cells."""
        self.get_latent_representation(indices=rows, batch_size=BATCH_CHECKED)

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
            If genes are missing, or values are NaN, infinite, or of another kind than those that
            the model was trained on.

        Warns
        -----
        UserWarning
            If the values may be of another kind than those that the model was trained on, or were
            normalised to another total.
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
        was_training = self.module.training
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
        self.module.train(was_training)
        bad = ~torch.isfinite(result).all(1)
        if bad.any():
            raise NotFiniteError(
                f"the network's output is not finite for {int(bad.sum())} of {len(rows)} cells, "
                f"such as row {rows[int(bad.nonzero()[0])]}: their values are far from those that "
                "the model was trained on."
            )
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
            random_state=random_state,
        )
        return self._embedding_scorer(clustering, names)

    @staticmethod
    def _groups(values: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
        """Codes and names of a grouping that every cell must be in."""
        groups = _columns.labels_of(values, f"adata.obs[{values.name!r}]")
        groups = groups.remove_unused_categories()
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

    def _obs(self, adata: AnnData | MuData | None, registry_key: str) -> pd.DataFrame:
        """Return the ``obs`` with labels or batches, with a row for each cell that is read."""
        adata = self.adata if adata is None else adata
        if not is_mudata(adata):
            return adata.obs
        field = self.registry_["field_registries"].get(registry_key, {})
        modality = field.get("data_registry", {}).get("mod_key")
        cells = self._cells(adata)
        if modality is None:
            return aligned_obs(adata, cells)
        if modality not in adata.mod:  # labels are not needed for prediction
            return pd.DataFrame(index=cells.obs_names)
        return aligned_obs(adata.mod[modality], cells, f"modality {modality!r}")

    def _registered_codes(self, registry_key: str) -> np.ndarray:
        """Code of each of the model's own cells, 0 if nothing was registered, -1 if unknown."""
        obs, state = self._obs(None, registry_key), self._state_of(registry_key)
        if state is None:
            return np.zeros(len(obs), dtype=np.int64)
        key = state["original_key"]
        if key not in obs:
            return np.full(len(obs), -1, dtype=np.int64)
        values = _columns.column_of(obs, key)
        return _columns.codes_of(values, state["categorical_mapping"], f"adata.obs[{key!r}]")

    def _column(self, adata: AnnData | MuData | None, groupby: str) -> pd.Series:
        """Column of ``obs`` of the modality that is read, of the labels', or of the MuData."""
        cells, whole = self._cells(adata), self.adata if adata is None else adata
        frames = [cells.obs, self._obs(adata, REGISTRY_KEYS.LABELS_KEY)]
        if is_mudata(whole):
            frames.append(aligned_obs(whole, cells))
        holds = (frame for frame in frames if groupby in list(frame.columns))
        return _columns.column_of(next(holds, cells.obs), groupby)
