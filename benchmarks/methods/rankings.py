"""Ways to rank genes for each group, ours and the baselines, behind one call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from inspect import signature
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc

import ace
from benchmarks.core.data import BATCH, GROUP, quiet_scvi
from benchmarks.core.experiment import Entry, revision
from benchmarks.core.measure import Cost, measure
from benchmarks.methods import baselines, embedding_baselines, models
from benchmarks.methods.baselines import Panels, to_panels

KEY = "ranking"
#: Perturbs genes one by one: minutes for each group of a real data set.
SLOW = ("shap",)
#: Methods that explain the autoencoder here.
THROUGH_ACE = (
    *("panel", "adversarial", "expected_gradients", "integrated_gradients", "smoothgrad", "shap"),
)
#: Genes requested of what gives no ranking of all.
N_RANKED = 200
#: Genes that the published runs of ACE let the encoder read.
N_SELECTED = 256
#: Fewer than the 400 that scvi-tools takes for so few cells: a minute of training, not three.
SCVI_EPOCHS = 150
DEFAULT = signature(ace.tl.explain).parameters["method"].default


@dataclass
class Cells:
    """The cells that panels are chosen on, with the models that several methods explain."""

    adata: ad.AnnData
    seed: int
    models: dict[str, tuple[Any, Cost]] = field(default_factory=dict)

    def trained(self, name: str) -> tuple[Any, Cost]:
        """A model trained on these cells, and the cost of the training."""
        if name not in self.models:
            self.models[name] = measure(partial(TRAINERS[name], self))
        return self.models[name]


def rankings() -> dict[str, Entry]:
    """All rankings that can be run here: of cells, the column numbers of genes by group."""
    found = _baselines()
    for method in ace.explain.methods().index:
        slow = method in SLOW
        found[f"ace {method}"] = _ours(method, slow=slow)
        found[f"KRATOS + {method}"] = _ours(method, "KRATOS", slow=slow)
        if method in THROUGH_ACE:
            found[f"ACE + {method}"] = _ours(method, "ACE", slow=slow)
    found[f"ACE of {N_SELECTED} genes + {DEFAULT}"] = _ours(DEFAULT, "selecting ACE")
    # Minutes of training: run by name, and with the default method only.
    for name in ("SCVI", "SCANVI"):
        found[f"{name} + {DEFAULT}"] = _ours(DEFAULT, name, slow=True, counts=True)
    return found


def _ours(method: str, model: str | None = None, **options: bool) -> Entry:
    subjects = (method,) if model is None else (model.removeprefix("selecting "), method)
    return Entry(partial(_ace, method=method, model=model), revision(*subjects), model, **options)


def _baselines() -> dict[str, Entry]:
    """What the papers and users compare with; of those in packages, the installed ones."""
    found = {
        "Wilcoxon, abs": partial(_scanpy, method="wilcoxon", rankby_abs=True),
        "Wilcoxon, by score": partial(_scanpy, method="wilcoxon"),
        "t-test, abs": partial(_scanpy, method="t-test", rankby_abs=True),
        "logistic regression, abs": partial(
            _scanpy, method="logreg", rankby_abs=True, max_iter=1000
        ),
        "L1 logistic regression": _plain(baselines.l1_logistic_regression),
        "JSD specificity": _plain(baselines.jsd_specificity),
        "GCE": _plain(embedding_baselines.gce),
        "GRS": _plain(embedding_baselines.grs),
    }
    if find_spec("cosg"):
        found["COSG"] = _cosg
    if find_spec("nsforest") and pd.__version__.startswith("2."):  # 4.1 does not run on pandas 3
        found["NS-Forest"] = _plain(baselines.ns_forest)
    if find_spec("pydeseq2"):
        found["DESeq2"] = _plain(baselines.deseq2)
    return {
        name: Entry(rank, counts=name == "DESeq2", baseline=True) for name, rank in found.items()
    }


def _plain(call: Callable[[ad.AnnData, int], Panels]) -> Callable[[Cells], Panels]:
    return lambda cells: call(cells.adata, cells.seed)


def _ace(cells: Cells, method: str, model: str | None = None) -> Panels:
    trained = None if model is None else cells.trained(model)[0]
    return explained(cells.adata, model=trained, method=method, random_state=cells.seed)


def explained(adata: ad.AnnData, **options: Any) -> Panels:
    """The rankings of ``ace.tl.explain``."""
    ace.tl.explain(adata, GROUP, key_added=KEY, quality=False, progress=False, **options)
    return to_panels(adata, adata.uns[KEY]["names"])


def _scanpy(cells: Cells, method: str, **options: Any) -> Panels:
    options |= {"method": method, "use_raw": False, "key_added": KEY}
    sc.tl.rank_genes_groups(cells.adata, GROUP, **options)
    return to_panels(cells.adata, cells.adata.uns[KEY]["names"])


def _cosg(cells: Cells) -> Panels:
    import cosg

    # It compares angles, for which values must not be negative.
    x = baselines.log_expression(cells.adata)
    own = ad.AnnData(x, obs=cells.adata.obs[[GROUP]], var=cells.adata.var[[]])
    cosg.cosg(own, groupby=GROUP, key_added=KEY, n_genes_user=min(N_RANKED, own.n_vars))
    return to_panels(cells.adata, own.uns[KEY]["names"])


def causal(cells: Cells) -> Panels:
    """The causal genes of a simulated set, for every group: a level, not a ranking."""
    genes = np.flatnonzero(cells.adata.var["kind"] == "causal")
    return dict.fromkeys(map(str, cells.adata.obs[GROUP].cat.categories), genes)


def _trained(cells: Cells, name: str, given: dict[str, str], **options: Any) -> Any:
    """A model; batches are given to ACE where the set has some."""
    batch = {"batch_key": BATCH} if name == "ACE" and BATCH in cells.adata.obs else {}
    return models.trained(name, cells.adata, cells.seed, given | batch, **options)[0]


def _scanvi(cells: Cells) -> Any:
    start, _ = cells.trained("SCVI")
    quiet_scvi(cells.seed)
    return models.scanvi(start, GROUP)


GROUPS = {"labels_key": GROUP}
TRAINERS = {
    # A tenth of the cells for validation, none for a test: those are outside.
    "KRATOS": partial(_trained, name="KRATOS", given=GROUPS, train={"train_size": 0.9}),
    "ACE": partial(_trained, name="ACE", given=GROUPS),
    "selecting ACE": partial(_trained, name="ACE", given=GROUPS, n_selected=N_SELECTED),
    "SCVI": partial(
        _trained, name="SCVI", given={"layer": "counts"}, train={"max_epochs": SCVI_EPOCHS}
    ),
    "SCANVI": _scanvi,
}
