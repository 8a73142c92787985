"""What a trained SCARE says of genes: attributions, a selection, and scores of groups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from scvi import REGISTRY_KEYS
from scvi import settings as scvi_settings

from ace import _checks
from ace._threads import seeded
from ace.explain import EmbeddingScorer, fit_clustering
from ace.model.adapter import LatentSpaceAdapter
from ace.model.scare import _attribution as attribution
from ace.model.scare._ground_truth import as_numbers
from ace.model.scare._loss import ALL_DIMENSIONS, AttributionLoss, AttributionSettings, Term
from ace.model.scare._setup import SetUpScare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.explain import GroupScorer
    from ace.model.scare._attribution import Combine, Loss
    from ace.model.scare._ground_truth import GroundTruth
    from ace.model.scare._module import ScareModule


class ExplainedScare(SetUpScare):
    """The genes' side of :class:`~ace.model.SCARE`."""

    module: ScareModule
    random_state_: int
    #: Weight decay of Adam: none for a query, which would move what is of the reference.
    weight_decay_: float = 1e-6
    loss_: Loss
    ground_truth_cells_: str | None
    _settings: AttributionSettings
    _ground_truth: list[GroundTruth]
    _disjoint: bool
    _combine: Combine

    @property
    def latent_blocks(self) -> dict[str, slice]:
        """Latent dimensions of each ground truth, by its name: all of them unless ``disjoint``."""
        names = [str(truth.name) for truth in self._ground_truth]
        if not self._disjoint:
            return dict.fromkeys(names, ALL_DIMENSIONS)
        # As many for each, and for what belongs to none.
        size = self.module.n_latent // (len(names) + 1)
        return {name: slice(i * size, (i + 1) * size) for i, name in enumerate(names)}

    def _attribution_terms(self) -> list[Term]:
        """The ground truths as numbers."""
        state = self._state_of(REGISTRY_KEYS.LABELS_KEY) or {}
        categories = list(state.get("categorical_mapping", ()))
        blocks = self.latent_blocks
        terms = []
        for truth in self._ground_truth:
            name = str(truth.name)
            genes = as_numbers(truth, self.var_names, categories)
            loss = self.loss_ if truth.loss is None else truth.loss
            terms.append(Term(name, genes, truth.weight, loss, blocks[name]))
        return terms

    def _attribution_loss(self) -> AttributionLoss:
        """The attribution loss for the cells of the model."""
        by_cell = any(sp.issparse(truth.genes) for truth in self._ground_truth)
        if by_cell and self._fingerprint(self.adata) != self.ground_truth_cells_:
            raise ValueError(
                "the ground truth by cell is of other cells than these: make a model of them, "
                f"{type(self).__name__}(adata, ground_truth=...)."
            )
        return AttributionLoss(self._settings, self._attribution_terms(), self._combine)

    def get_attributions(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        dimension: int | None = None,
        absolute: bool = True,
        n_samples: int = 10,
        batch_size: int | None = None,
        random_state: int | None = None,
    ) -> pd.DataFrame:
        r"""Attribute the latent space to genes, for each cell.

        With the attribution, the target and the references that the model was made with; the
        mean over ``n_samples`` draws of what is random in them (Eq. 5 and 6):

        .. math::
            a_i = (x_i - x'_i) \, \frac{\partial F(x' + \alpha (x - x'))}{\partial x_i}

        in units of :math:`F` and for :math:`x = \log(1 + \text{counts})`.

        Parameters
        ----------
        adata
            Cells; ``None`` for those of the model. References are drawn among all of them, by
            label if the model does so; nothing is attributed to a cell that is the only one of
            its label. Where labels are unknown, references are neighbours.
        indices
            Rows (or a Boolean mask); ``None`` for all. Neighbours are those among them.
        dimension
            Attribute this one latent dimension instead of the model's target.
        absolute
            Mean of absolute attributions. ``False``: signed, which makes sense for one dimension.
        n_samples
            Draws.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.
        random_state
            Seed of the draws; ``None`` for that of the model.

        Returns
        -------
        Frame cells × genes, float32; dense, mind its size.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If ``dimension`` or ``n_samples`` is out of range, or as for
            :meth:`get_latent_representation`.
        """
        self._require_trained()
        self._require_genes(adata)
        _checks.whole(n_samples, "n_samples", 1)
        if dimension is not None and not 0 <= dimension < self.module.n_latent:
            raise ValueError(
                f"dimension must be from 0 to {self.module.n_latent - 1}, got {dimension}."
            )
        settings = self._settings if dimension is None else self._settings.of_dimension(dimension)
        if settings.kind == "integrated_gradients" and settings.target != "random_projection":
            n_samples = 1  # nothing is drawn
        cells = self._cells(adata)
        reader = self._reader(adata)
        rows = self._rows(indices, len(reader))
        batch_size = scvi_settings.batch_size if batch_size is None else batch_size
        _checks.positive(batch_size, "batch_size", optional=False)
        covariates = self._covariates(adata)
        labels = covariates[REGISTRY_KEYS.LABELS_KEY][:, 0]
        if settings.reference == "label" and (labels[rows] < 0).any():
            settings = replace(settings, reference="neighbor")
        kinds = labels if settings.reference == "label" else np.zeros_like(labels)
        near = settings.kind == "expected_gradients" and settings.reference == "neighbor"
        if near and min(len(rows), batch_size) == 1:
            raise ValueError(
                "a cell's references are its neighbours among the cells of a minibatch: ask for "
                "several cells, in minibatches of several."
            )
        seed = self.random_state_ if random_state is None else random_state
        rng = np.random.default_rng(seed)
        found = np.empty((len(rows), reader.n_genes), dtype=np.float32)
        self.module.eval()
        with seeded(seed):
            # Neighbours are looked for among random cells, and never in a minibatch of one.
            for here in np.array_split(
                rng.permutation(len(rows)), max(1, len(rows) // batch_size)
            ):
                for x in self._minibatches(reader, rows[here], max(1, len(here))):
                    tensors = {REGISTRY_KEYS.X_KEY: x} | {
                        key: torch.from_numpy(values[rows[here]]).to(x.device)
                        for key, values in covariates.items()
                    }
                    total = torch.zeros_like(x)
                    for _ in range(n_samples):
                        others = None
                        if settings.kind == "expected_gradients" and not near:
                            drawn = reader.dense(others_of(rows[here], kinds, rng))
                            others = torch.log1p(torch.from_numpy(drawn).to(x.device))
                        values = settings.attributions(self.module, tensors, references=others)
                        total += values.abs() if absolute else values
                    found[here] = (total / n_samples).cpu().numpy()
        return pd.DataFrame(found, index=cells.obs_names[rows], columns=list(self._feature_names))

    def selected_genes(self, n: int, **kwargs: Any) -> pd.Index:
        """Genes that the latent space depends on most, the most important first.

        By their share of each cell's absolute attribution, averaged over the cells. With a ground
        truth of zeros and ``loss="excess"`` the model learns to make do with few genes, and these
        are the ones: a selection of probes.

        Parameters
        ----------
        n
            Number of genes.
        **kwargs
            Passed on to :meth:`get_attributions`: ``adata``, ``indices``, ``n_samples``,
            ``batch_size``, ``random_state``.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If there are fewer genes.
        """
        _checks.whole(n, "n", 1)
        if n > len(self.var_names):
            raise ValueError(f"n={n}, but the model has {len(self.var_names)} genes.")
        values = self.get_attributions(**kwargs | {"absolute": True, "dimension": None}).to_numpy()
        shares = (values / (values.sum(1, keepdims=True) + attribution.TINY)).mean(0)
        return pd.Index(self.var_names[np.argsort(-shares, kind="stable")[:n]])

    def group_scorer(
        self,
        adata: AnnData | MuData | None = None,
        groupby: str | None = None,
        *,
        n_prototypes: int | None = None,
        random_state: int = 0,
    ) -> GroupScorer:
        r"""Give a differentiable score of each group: what :func:`ace.tl.explain` explains.

        The scorer takes log-normalised expression, :math:`x = \log(1 + 10^4 k / n)` of counts
        :math:`k` with total :math:`n`, and the *context* of each cell: its total, batch and
        covariates. :meth:`scorer_input` gives both. It works on a copy of the weights, in
        evaluation mode.

        Parameters
        ----------
        adata
            Cells with the grouping; ``None`` for those of the model.
        groupby
            Column of ``obs``: any grouping, described by prototypes in the latent space.
            ``None``: the labels that were set up.
        n_prototypes
            Prototypes of each group, see :func:`ace.explain.fit_clustering`.
        random_state
            Seed of the choice of their number.

        Returns
        -------
        A scorer whose ``feature_names`` are the model's genes, in the model's order.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        KeyError
            If the column does not exist.
        ValueError
            If no grouping is given and no labels were set up, or the grouping has missing values
            or fewer than two groups.
        """
        self._require_trained()
        self._require_genes(adata)
        if groupby is None:
            groupby = self.labels_key
        if groupby is None:
            raise ValueError(
                "name the groups to score, groupby=...: no labels were set up (labels_key)."
            )
        codes, names = self._groups(self._column(adata, groupby))
        clustering = fit_clustering(
            self._means(adata),
            codes,
            n_prototypes=n_prototypes,
            seed=random_state,
        )
        embedding = LatentSpaceAdapter(self, self.adata if adata is None else adata).embedding
        scorer = EmbeddingScorer(embedding, clustering, names, self._feature_names)
        return scorer.to(self.device).eval().requires_grad_(False)

    def scorer_input(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give what :meth:`group_scorer` takes of cells.

        Parameters
        ----------
        adata
            Cells; ``None`` for those of the model.
        indices
            Rows (or a Boolean mask); ``None`` for all.

        Returns
        -------
        Log-normalised expression, ``(n_cells, n_genes)``, and context, ``(n_cells, n_context)``.
        """
        cells = self._cells(adata)
        rows = self._rows(indices, cells.n_obs)
        unique, inverse = np.unique(rows, return_inverse=True)
        adapter = LatentSpaceAdapter(self, self.adata if adata is None else adata)
        x, context = adapter.expression(unique), torch.from_numpy(adapter.context(unique))
        return x[inverse].to(self.device), context[inverse].to(self.device)

    def _means(
        self,
        adata: AnnData | MuData | None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        reader = self._reader(adata)
        rows = self._rows(indices, len(reader))
        embed, n_latent = self.module.embed, self.module.n_latent
        return self._outputs(
            embed, n_latent, reader, rows, batch_size, self._beside(adata)
        ).numpy()

    def _require_genes(self, adata: AnnData | MuData | None) -> None:
        own = adata is None or adata is self.adata
        if own and self.minified_data_type is not None:
            raise ValueError(
                "the model's AnnData is minified: its latent space is stored, not computed of the "
                "genes. Pass the full AnnData, `adata=...`."
            )


def others_of(rows: np.ndarray, kinds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw for each row another one of the same kind; itself where there is none.

    Parameters
    ----------
    rows
        Row numbers.
    kinds
        Kind of every row that there is.
    rng
        Source of randomness.
    """
    order = np.argsort(kinds, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    _, code, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
    first = (np.cumsum(sizes) - sizes)[code[rows]]
    size = sizes[code[rows]]
    shift = rng.integers(1, np.maximum(size, 2))
    return order[first + (place[rows] - first + shift) % size]
