"""Any other model of scvi-tools, read as a function from genes to its latent space."""

from __future__ import annotations

import copy
import inspect
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy.sparse import csr_matrix, issparse
from scvi import REGISTRY_KEYS
from scvi.model.base import BaseModelClass

from ace import _checks, _columns, _value_checks
from ace._listed import listed
from ace._matrix import LogCounts, read_rows
from ace._threads import seeded
from ace._values import claimed_base

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scvi.data import AnnDataManager

    from ace._kinds import Values

#: Total that cells are scaled to before the logarithm: what people normalise to.
TARGET = 1e4
#: Cells on which our reading of a model is compared with the model's own.
N_CELLS_COMPARED = 64
#: scvi-tools checks fragment counts (POISSONVI) on this many cells, and fails with fewer.
FEWEST_REGISTERED = 100
BATCH_SIZE = 256

#: What ``inference`` calls the mean of the posterior, or else a latent space without any noise.
_MEANS = ("qz", "qzm", "qz_m", "z")


class PosteriorMean(torch.nn.Module):
    r"""The encoder of a model, from log-normalised genes to the mean of its posterior.

    A model of counts is explained in the space of :math:`x = \log(1 + 10^4 k / n)`, with the
    counts :math:`k` of a cell and their total :math:`n`, where equal steps mean the same for every
    gene. This undoes it: :math:`k = n (e^x - 1) / 10^4`. The total and all else that the model
    registers for a cell (batch, covariates) is its *context*, held at the cell's own values.

    Parameters
    ----------
    module
        Network of the model.
    fields
        Name, width and type of what the model registers besides the genes, in the order of the
        columns of the context.
    log_counts
        Whether to turn logarithms back into counts; the first column of the context then is the
        total over 10⁴.
    """

    def __init__(
        self, module: Any, fields: list[tuple[str, int, torch.dtype]], *, log_counts: bool
    ) -> None:
        super().__init__()
        self.module = module
        self._fields = fields
        self._log_counts = log_counts

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Shapes ``(n_cells, n_genes)`` and ``(n_cells, n_context)`` → ``(n_cells, n_latent)``."""
        at = 0
        if self._log_counts:
            # A noisy copy of a cell may lie below zero: there are no fewer counts than none.
            x, at = torch.expm1(x.clamp_min(0)) * context[:, :1], 1
        tensors = {REGISTRY_KEYS.X_KEY: x}
        for name, width, dtype in self._fields:
            tensors[name] = context[:, at : at + width].to(dtype)
            at += width
        outputs = self.module.inference(**self.module._get_inference_input(tensors))
        found = next((outputs[key] for key in _MEANS if outputs.get(key) is not None), None)
        if found is None:
            raise ValueError(
                f"the encoder of this model gives none of {_MEANS}, only {list(outputs)}, so its "
                "latent space is not known."
            )
        return found if isinstance(found, torch.Tensor) else found.mean


class ForeignModel:
    """What :func:`ace.tl.explain` needs to know about a scvi-tools model from elsewhere.

    Nothing is registered in ``adata`` or in the model: fields are transferred to a small AnnData
    of the cells that are asked for.

    Parameters
    ----------
    model
        A trained model with an encoder.
    adata
        The cells that are explained, with the genes of the model in any order.

    Raises
    ------
    TypeError
        If the model is not a scvi-tools model, or does not use PyTorch.
    RuntimeError
        If it is not trained.
    KeyError
        If the layer or a column of ``obs`` that the model reads is missing.
    ValueError
        If genes are missing, a category is unknown to the model, or its latent space cannot be
        differentiated in the genes.
    """

    def __init__(self, model: Any, adata: AnnData) -> None:
        self.name = type(model).__name__
        _require_encoder(model, self.name)
        self._model = model
        self._adata = adata
        self._registries = model.registry_["field_registries"]
        genes = self._registries[REGISTRY_KEYS.X_KEY]
        self.input_layer: str | None = genes["data_registry"].get("attr_key")
        self.genes = tuple(str(gene) for gene in genes["state_registry"]["column_names"])
        _checks.unique_genes(adata)
        self.columns = _checks.gene_positions(adata.var_names, self.genes, f"the {self.name}")
        matrix = _checks.matrix_of(adata, self.input_layer)
        own = _values_of(model.adata, self.input_layer, self.genes)
        seen = own if adata is model.adata else _values_of(adata, self.input_layer, self.genes)
        _value_checks.same_values(own, seen, self.input_layer, self.name)
        is_counts = own.is_linear
        #: What is explained, all genes of ``adata``: log-normalised counts, or values as they are.
        self.matrix = LogCounts(matrix, self.columns, TARGET) if is_counts else matrix
        self._counts = self.matrix.counts if is_counts else matrix
        self._fields: list[tuple[str, int, torch.dtype]] = []
        rows = np.arange(min(adata.n_obs, N_CELLS_COMPARED))
        self.context(rows)  # finds the fields
        self.embedding = PosteriorMean(
            copy.deepcopy(model.module).eval().requires_grad_(False),
            self._fields,
            log_counts=is_counts,
        )
        self._compare(rows)

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._model.device

    @property
    def labels_key(self) -> str | None:
        """Column of the labels that the model learned, if any."""
        return self._labels.get("original_key")

    @property
    def unlabeled_category(self) -> Any:
        """Label of cells without one, ``None`` if there is none."""
        return self._labels.get("unlabeled_category")

    @property
    def _labels(self) -> dict[str, Any]:
        return self._registries.get(REGISTRY_KEYS.LABELS_KEY, {}).get("state_registry", {})

    def context(self, rows: np.ndarray) -> np.ndarray:
        """Context of cells: what the encoder is told besides the genes.

        Parameters
        ----------
        rows
            Row numbers in increasing order.

        Returns
        -------
        Array of shape ``(len(rows), n_context)``, float32.
        """
        data = self._register(rows).create_torch_dataset(data_and_attributes=self._keys)
        found = data[slice(0, len(rows))] if self._keys else {}
        arrays = {key: np.asarray(a).reshape(len(rows), -1) for key, a in found.items()}
        self._fields = [
            (key, a.shape[1], torch.from_numpy(a[:0].copy()).dtype) for key, a in arrays.items()
        ]
        columns = list(arrays.values())
        if isinstance(self.matrix, LogCounts):
            columns.insert(0, self.matrix.scale(read_rows(self._counts, rows))[:, None])
        return np.concatenate([np.empty((len(rows), 0)), *columns], axis=1).astype(np.float32)

    def embed(self, rows: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """Latent space of cells, in increasing order of rows, ``(n_cells, n_latent)``."""
        context = torch.from_numpy(self.context(rows))
        parts = []
        # Encoders draw a sample beside the mean: not from the caller's stream.
        with torch.no_grad(), seeded(seed, self.device):
            for start in range(0, len(rows), BATCH_SIZE):
                here = slice(start, start + BATCH_SIZE)
                x = read_rows(self.matrix, rows[here], self.columns)
                _checks.computable(x)
                x = torch.from_numpy(_dense(x)).to(self.device)
                parts.append(self.embedding(x, context[here].to(self.device)).cpu().numpy())
        return np.concatenate(parts)

    # -- reading the model's fields ------------------------------------------------------------

    @property
    def _keys(self) -> list[str]:
        """What the model registers for each cell besides the genes."""
        return [
            key
            for key, field in self._registries.items()
            if key != REGISTRY_KEYS.X_KEY
            and field["data_registry"].get("attr_name") in ("layers", "obs", "obsm")
        ]

    def _register(self, rows: np.ndarray) -> AnnDataManager:
        """Transfer the model's fields to an AnnData with some of the cells.

        If there are few cells, some are repeated at the end.
        """
        again = np.resize(np.arange(len(rows)), max(len(rows), FEWEST_REGISTERED))
        obs = self._adata.obs.iloc[rows[again]].reset_index(drop=True)
        obs.index = obs.index.astype(str)
        self._fill_labels(obs)
        require_columns(self._registries, self._keys, obs, self.name)
        # Columns that the model reads are unique now; scvi-tools fails on other duplicates.
        obs = obs.loc[:, ~obs.columns.duplicated()]
        cells = AnnData(self._genes_of(self._counts, rows)[again], obs=obs)
        cells.var_names = list(self.genes)
        if self.input_layer is not None:
            cells.layers[self.input_layer] = cells.X
        for key in self._keys:
            place = self._registries[key]["data_registry"]
            name = place["attr_key"]
            if place["attr_name"] == "layers":
                cells.layers[name] = self._genes_of(self._adata.layers[name], rows)[again]
            elif place["attr_name"] == "obsm" and name in self._adata.obsm:
                values = self._adata.obsm[name]
                if isinstance(values, pd.DataFrame):
                    cells.obsm[name] = values.iloc[rows[again]].set_axis(cells.obs_names)
                else:
                    cells.obsm[name] = values[rows][again]
        with warnings.catch_warnings():
            # On few cells of a batch, with which nothing is trained here.
            warnings.simplefilter("ignore")
            return self._model.adata_manager.transfer_fields(cells)

    def _genes_of(self, matrix: Any, rows: np.ndarray) -> Any:
        part = read_rows(matrix, rows, self.columns)
        # scvi-tools checks sparse matrices only, not sparse arrays.
        return csr_matrix(part) if issparse(part) else part

    def _fill_labels(self, obs: pd.DataFrame) -> None:
        """Labels are nothing that an encoder reads: those that it does not know are not needed."""
        if "unlabeled_category" not in self._labels:  # a column like any other
            return
        mapping = list(self._labels["categorical_mapping"])
        # Where every cell of the model has a label, any of them will do.
        filler = mapping[0] if self.unlabeled_category is None else self.unlabeled_category
        if self.labels_key not in obs:
            obs[self.labels_key] = filler
            return
        values = _columns.column_of(obs, self.labels_key)
        codes = _columns.codes_of(values, mapping, f"adata.obs[{self.labels_key!r}]")
        labels = np.array([*mapping, filler], dtype=object)[codes]  # -1 selects the filler
        obs[self.labels_key] = pd.Categorical(labels)

    def _compare(self, rows: np.ndarray) -> None:
        """Make sure that what is explained is the latent space that the model's users know."""
        try:
            found, again = self.embed(rows, seed=0), self.embed(rows, seed=1)
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(
                f"the encoder of the {self.name} cannot be explained: {error}."
            ) from error
        if found.ndim != 2 or not np.array_equal(found, again):
            raise ValueError(
                f"the {self.name} draws its latent space at random and does not tell the mean "
                f"(one of {_MEANS[:3]}), so there is nothing to differentiate."
            )
        own = type(self._model).get_latent_representation
        if "dataloader" not in inspect.signature(own).parameters:
            return
        loader = self._model._data_loader_cls(self._register(rows), batch_size=len(rows))
        try:
            with seeded(0, self.device):
                expected = np.asarray(self._model.get_latent_representation(dataloader=loader))
            expected = expected[: len(rows)]
        except (AttributeError, TypeError):  # scvi-tools asks for qz, and there is z only
            return
        if found.shape != expected.shape or not np.allclose(
            found, expected, rtol=1e-3, atol=1e-3 * max(float(np.abs(expected).max()), 1e-6)
        ):
            raise ValueError(
                f"get_latent_representation of the {self.name} gives something else than the mean "
                "of its encoder's posterior, so what would be explained is not its latent space."
            )


def require_columns(
    registries: dict[str, Any], keys: Iterable[str], obs: pd.DataFrame, name: str
) -> None:
    """Raise unless ``obs`` has what a model registers of it, in categories that it knows.

    Parameters
    ----------
    registries
        Registry of each field of the model.
    keys
        Fields to look at.
    obs
        Of the cells.
    name
        Of the model, for the message.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a category is unknown to the model.
    """
    known: dict[str, Any] = {}
    for key in keys:
        state = registries[key]["state_registry"]
        if "categorical_mapping" in state:
            known[state["original_key"]] = state["categorical_mapping"]
        known |= state.get("mappings", {})
        known |= dict.fromkeys(state.get("columns", []))
    for column, categories in known.items():
        # One category, which scvi-tools fills in, in a column that any model may have written.
        if str(column).startswith("_scvi_"):
            continue
        if column not in obs:
            raise KeyError(
                f"the {name} reads adata.obs[{column!r}], which is not there; "
                f"adata.obs has {listed(obs.columns)}."
            )
        values = _columns.column_of(obs, column)
        if categories is None:
            continue
        labels = _columns.labels_of(values, f"adata.obs[{column!r}]").remove_unused_categories()
        if (labels.codes < 0).any():
            raise ValueError(
                f"adata.obs[{column!r}], which the {name} reads, is missing for "
                f"{int((labels.codes < 0).sum())} cells: leave them out, or fill it in."
            )
        unknown = sorted(set(labels.categories) - set(categories), key=str)
        if unknown:
            raise ValueError(
                f"adata.obs[{column!r}] has categories that the {name} was not trained "
                f"with: {listed(unknown)}; it knows {listed(categories)}. Leave these cells out, "
                f"or teach it these categories with {name}.load_query_data."
            )


def _require_encoder(model: Any, name: str) -> None:
    if not isinstance(model, BaseModelClass) or not hasattr(model, "get_latent_representation"):
        raise _checks.not_a_model(model)
    module = model.module
    if not isinstance(module, torch.nn.Module) or not hasattr(module, "_get_inference_input"):
        raise TypeError(
            f"the network of the {name} is no PyTorch module with an inference step, so it cannot "
            "be differentiated here. Train an SCVI on the same cells, or explain without a model."
        )
    if not model.is_trained_:
        raise RuntimeError(f"this {name} is not trained: call train() first.")
    if model.adata is None or model.adata_manager is None:
        raise ValueError(
            f"the {name} was loaded without an AnnData, and how it reads one is not known: load "
            f"it with `{name}.load(path, adata=adata)`."
        )
    if getattr(model, "minified_data_type", None) is not None:
        raise ValueError(
            f"the {name} is minified: its AnnData holds latent values in place of the genes. Load "
            "it with the full AnnData."
        )
    place = model.registry_["field_registries"].get(REGISTRY_KEYS.X_KEY, {}).get("data_registry")
    if place is None:
        raise ValueError(f"the {name} registers no genes ({REGISTRY_KEYS.X_KEY!r}) to explain.")
    if not isinstance(model.adata, AnnData) or place.get("mod_key") is not None:
        raise ValueError(
            f"the {name} was set up with a MuData, of which an AnnData is a part only. Set one up "
            "with the AnnData of the genes, mdata.mod[...], and explain that."
        )
    if getattr(module, "latent_distribution", "normal") == "ln":
        raise ValueError(
            f"the latent space of the {name} is logistic normal, whose mean is only known by "
            "sampling: train one with latent_distribution='normal'."
        )


def _values_of(adata: AnnData, layer: str | None, genes: Sequence[str]) -> Values:
    """Detect the kind of values of an object, over the genes of a model."""
    return _value_checks.values_of(
        _checks.matrix_of(adata, layer),
        layer,
        base=claimed_base(adata, layer),
        columns=adata.var_names.get_indexer(pd.Index(genes)),
    )


def _dense(part: Any) -> np.ndarray:
    dense = part.toarray() if hasattr(part, "toarray") else np.asarray(part)
    return np.ascontiguousarray(dense, dtype=np.float32)
