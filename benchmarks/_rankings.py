"""Ways to rank genes for each group, ours and what people use, behind one call."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import _baselines
import _embedding_baselines
import anndata as ad
import pandas as pd
import scanpy as sc
from _baselines import Panels
from _data import BATCH, GROUP
from _measure import Cost, measure
from _results import code_key

import ace

if TYPE_CHECKING:
    from collections.abc import Callable


KEY = "ranking"


@dataclass
class Cells:
    """The cells that panels are chosen on, with models that several methods explain."""

    adata: ad.AnnData
    seed: int
    models: dict[str, tuple[Any, Cost]] = field(default_factory=dict)

    def trained(self, name: str) -> tuple[Any, Cost]:
        """Give a model trained on these cells, and what that took."""
        if name not in self.models:
            self.models[name] = measure(partial(TRAINERS[name], self))
        return self.models[name]


@dataclass(frozen=True)
class Ranking:
    """A named way to rank genes.

    ``prepare`` does what is not counted as ranking (training a model), ``rank`` what is.
    """

    name: str
    rank: Callable[[Cells], Panels]
    code: str
    prepare: Callable[[Cells], Any] | None = None
    default: bool = False
    model: str | None = None
    slow: bool = False
    counts: bool = False  # reads layers["counts"]
    baseline: bool = False  # none of ours


def rankings() -> dict[str, Ranking]:
    """All rankings that can be run here, by name."""
    ours = code_key("explain", "nn", "tl", files=("_rankings.py",))
    with_model = code_key("explain", "nn", "tl", "model", files=("_rankings.py",))
    found = _baseline_rankings()
    default = _default_method()
    for method in ace.explain.methods().index:
        shared = {"default": method == default, "slow": method in _SLOW}
        found.append(Ranking(f"ace {method}", partial(_ace, method=method), ours, **shared))
        found.append(
            Ranking(
                f"KRATOS + {method}",
                partial(_ace, method=method, model="KRATOS"),
                with_model,
                prepare=partial(Cells.trained, name="KRATOS"),
                model="KRATOS",
                **shared,
            )
        )
        if method in _THROUGH_ACE:
            found.append(
                Ranking(
                    f"ACE + {method}",
                    partial(_ace, method=method, model="ACE"),
                    with_model,
                    prepare=partial(Cells.trained, name="ACE"),
                    model="ACE",
                    **shared,
                )
            )
    found.append(
        Ranking(
            f"ACE of {N_SELECTED} genes + {default}",
            partial(_ace, method=default, model="selecting ACE"),
            with_model,
            prepare=partial(Cells.trained, name="selecting ACE"),
            model="selecting ACE",
        )
    )
    # Minutes of training: asked for by name, and with the default method only. Of our models
    # they need nothing but the reader.
    with_scvi = code_key(
        "explain", "nn", "tl", files=("_rankings.py", "../src/ace/model/adapter/_foreign.py")
    )
    found += [
        Ranking(
            f"{name} + {default}",
            partial(_ace, method=default, model=name),
            with_scvi,
            prepare=partial(Cells.trained, name=name),
            model=name,
            slow=True,
            counts=True,
        )
        for name in ("SCVI", "SCANVI")
    ]
    return {ranking.name: ranking for ranking in found}


def _baseline_rankings() -> list[Ranking]:
    """What the papers and users compare with; of those in packages, the ones installed."""
    of_packages = {
        "Wilcoxon, abs": partial(_scanpy, method="wilcoxon", rankby_abs=True),
        "Wilcoxon, by score": partial(_scanpy, method="wilcoxon"),
        "t-test, abs": partial(_scanpy, method="t-test", rankby_abs=True),
        "logistic regression, abs": partial(
            _scanpy, method="logreg", rankby_abs=True, max_iter=1000
        ),
    }
    if find_spec("cosg") is not None:
        of_packages["COSG"] = _cosg
    single = {
        "L1 logistic regression": _baselines.l1_logistic_regression,
        "JSD specificity": _baselines.jsd_specificity,
    }
    # nsforest 4.1 does not run on pandas 3.
    if find_spec("nsforest") is not None and pd.__version__.startswith("2."):
        single["NS-Forest"] = _baselines.ns_forest
    if find_spec("pydeseq2") is not None:
        single["DESeq2"] = _baselines.deseq2
    embedding = {"GCE": _embedding_baselines.gce, "GRS": _embedding_baselines.grs}

    here = code_key(files=("_rankings.py",))
    of_one_gene = code_key(files=("_baselines.py", "../src/ace/tl/_rank_specificity.py"))
    of_embedding = code_key(files=("_baselines.py", "_embedding_baselines.py"))
    found = [Ranking(name, rank, here, baseline=True) for name, rank in of_packages.items()]
    for calls, code in ((single, of_one_gene), (embedding, of_embedding)):
        found += [
            Ranking(
                name, partial(_plain, call), code, counts=call is _baselines.deseq2, baseline=True
            )
            for name, call in calls.items()
        ]
    return found


def _plain(call: Callable[[ad.AnnData, int], Panels], cells: Cells) -> Panels:
    return call(cells.adata, cells.seed)


#: Perturbs genes one by one: minutes for each group of a real data set.
_SLOW = {"shap"}
#: Methods that explain ACE's autoencoder here.
_THROUGH_ACE = {
    *("panel", "adversarial", "expected_gradients", "integrated_gradients", "smoothgrad"),
    "shap",
}
#: Genes asked for of what gives no ranking of all.
N_RANKED = 200
#: Genes that the published runs of ACE let the encoder read.
N_SELECTED = 256


def _default_method() -> str:
    from inspect import signature

    return signature(ace.tl.explain).parameters["method"].default


def _ace(cells: Cells, method: str, model: str | None = None) -> Panels:
    ace.tl.explain(
        cells.adata,
        GROUP,
        model=None if model is None else cells.trained(model)[0],
        method=method,
        key_added=KEY,
        random_state=cells.seed,
        progress=False,
    )
    return to_panels(cells.adata, cells.adata.uns[KEY]["names"])


def _quiet_scvi(seed: int) -> Any:
    import scvi

    # Progress is shown by the benchmark; a line on hardware for each training says nothing new.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    scvi.settings.verbosity = logging.ERROR
    scvi.settings.seed = seed
    return scvi


def _train_kratos(cells: Cells) -> Any:
    _quiet_scvi(cells.seed)
    # The model keeps the object it was set up with: give it one of its own.
    own = cells.adata.copy()
    ace.model.KRATOS.setup_anndata(own, labels_key=GROUP)
    model = ace.model.KRATOS(own)
    # All cells for training and validation, a tenth for the latter: what tests it is outside.
    model.train(train_size=0.9, enable_progress_bar=False)
    return model


def _train_ace(cells: Cells, **options: Any) -> Any:
    """Labels are given, as in the paper, and batches where the set has them."""
    _quiet_scvi(cells.seed)
    own = cells.adata.copy()
    batch_key = BATCH if BATCH in own.obs else None
    ace.model.ACE.setup_anndata(own, batch_key=batch_key, labels_key=GROUP)
    model = ace.model.ACE(own, **options)
    model.train(enable_progress_bar=False)
    return model


#: Fewer than the 400 that scvi-tools takes for so few cells: a minute of training, not three.
SCVI_EPOCHS = 150


def _train_scvi(cells: Cells) -> Any:
    """Counts of the cells that panels are chosen on, without their groups; default settings."""
    scvi = _quiet_scvi(cells.seed)
    own = cells.adata.copy()
    scvi.model.SCVI.setup_anndata(own, layer="counts")
    model = scvi.model.SCVI(own)
    model.train(max_epochs=SCVI_EPOCHS, enable_progress_bar=False)
    return model


def _train_scanvi(cells: Cells) -> Any:
    """Go on from that model, with the groups as labels; default settings."""
    start, _ = cells.trained("SCVI")
    scvi = _quiet_scvi(cells.seed)
    model = scvi.model.SCANVI.from_scvi_model(
        start, unlabeled_category="Unknown", labels_key=GROUP
    )
    model.train(enable_progress_bar=False)
    return model


TRAINERS = {
    "KRATOS": _train_kratos,
    "ACE": _train_ace,
    "selecting ACE": partial(_train_ace, n_selected=N_SELECTED),
    "SCVI": _train_scvi,
    "SCANVI": _train_scanvi,
}


def _scanpy(cells: Cells, method: str, **options: Any) -> Panels:
    with warnings.catch_warnings():
        # Fold changes of scaled values, fragmented frames: of no matter for the ranking.
        warnings.simplefilter("ignore")
        sc.tl.rank_genes_groups(
            cells.adata, GROUP, method=method, use_raw=False, key_added=KEY, **options
        )
    return to_panels(cells.adata, cells.adata.uns[KEY]["names"])


def _cosg(cells: Cells) -> Panels:
    import cosg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        n_genes = min(N_RANKED, cells.adata.n_vars)
        # It compares angles, for which values must not be negative.
        x = _baselines.log_expression(cells.adata)
        own = ad.AnnData(x, obs=cells.adata.obs[[GROUP]], var=cells.adata.var[[]])
        cosg.cosg(own, groupby=GROUP, key_added=KEY, n_genes_user=n_genes)
    return to_panels(cells.adata, own.uns[KEY]["names"])


def to_panels(adata: ad.AnnData, names: Any) -> Panels:
    """Give the column numbers of ranked names."""
    frame = pd.DataFrame(names)
    return {
        str(group): adata.var_names.get_indexer(frame[group].astype(str))
        for group in frame.columns
    }
