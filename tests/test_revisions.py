"""Numbers of every method and model change only together with the revision that it declares.

Results of the benchmarks are stored under these revisions. After an intended change of numbers,
raise ``revision`` of the method (``MethodInfo``) or of the model and store the new numbers::

    python -m tests.test_revisions
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import ace

if TYPE_CHECKING:
    from anndata import AnnData

STORED = Path(__file__).parent / "data" / "revisions.json"
MODELS = ("ACE", "KRATOS", "SCARE", "SCNYM")
TYPES = ("CD19+ B", "CD56+ NK", "Dendritic")
N_CELLS, N_GENES = 40, 60
#: Room for another processor and other versions of numerical libraries.
TOLERANCE = 2e-3


def _cells() -> AnnData:
    """40 cells of each of three types with the 60 genes of the largest variance."""
    adata = ace.datasets.pbmc68k_reduced()
    types = adata.obs["bulk_labels"].astype(str).to_numpy()
    rows = np.concatenate([np.flatnonzero(types == name)[:N_CELLS] for name in TYPES])
    genes = np.argsort(-adata.X.toarray().var(axis=0), kind="stable")[:N_GENES]
    adata = adata[rows, np.sort(genes)].copy()
    adata.obs["type"] = types[rows]
    adata.obs["given"] = np.where(np.arange(len(rows)) % 3, types[rows], "Unknown")
    return adata


def _summary(values: Any) -> list[float]:
    """Means of the positive and of the negative parts, and root mean square."""
    values = np.asarray(values, dtype=np.float64)
    return [
        float(np.maximum(values, 0).mean()),
        float(np.maximum(-values, 0).mean()),
        float(np.sqrt(np.square(values).mean())),
    ]


def _of_method(name: str) -> list[float]:
    adata = _cells()
    options = {"n_prototypes": 2, "random_state": 0, "key_added": "x", "progress": False}
    ace.tl.explain(adata, "type", method=name, **options)
    numbers = [x for column in np.asarray(adata.varm["x_scores"]).T for x in _summary(column)]
    groups = [adata.X[(adata.obs["type"] == group).to_numpy()].toarray() for group in TYPES]
    method = ace.explain.Method.registry[name](
        ace.explain.ClassifierScorer(_network(), TYPES), ace.explain.GroupedCells(groups)
    )
    return numbers + _summary(method(0).scores) + _summary(method(1, 2).scores)


def _network() -> torch.nn.Module:
    """A classifier with fixed weights that is not linear in the genes."""
    network = torch.nn.Sequential(
        torch.nn.Linear(N_GENES, 16), torch.nn.ReLU(), torch.nn.Linear(16, len(TYPES))
    )
    rng = np.random.default_rng(0)
    for weights in network.parameters():
        values = rng.normal(scale=0.3, size=weights.shape).astype(np.float32)
        weights.data = torch.from_numpy(values)
    return network


def _of_model(name: str) -> list[float]:
    import scvi

    scvi.settings.seed = 0
    adata = _cells()
    model_class = getattr(ace.model, name)
    setup = {"ACE": {}, "KRATOS": {"labels_key": "type"}}
    setup["SCNYM"] = {"labels_key": "given", "unlabeled_category": "Unknown"}
    setup["SCARE"] = {"layer": "counts", "labels_key": "type"}
    arguments = {"ACE": {"n_clusters": 3}, "SCARE": {"ground_truth": list(adata.var_names[:10])}}
    model_class.setup_anndata(adata, **setup[name])
    model = model_class(adata, random_state=0, **arguments.get(name, {}))
    model.train(max_epochs=2, accelerator="cpu", enable_progress_bar=False)
    losses = [float(v.iloc[-1].iloc[0]) for k, v in sorted(model.history.items()) if "loss" in k]
    numbers = [*losses, *_summary(model.get_latent_representation())]
    if name in ("KRATOS", "SCNYM"):
        numbers += _summary(model.predict(soft=True).max(axis=1))
    return numbers


def _subjects() -> dict[str, tuple[Any, str]]:
    """For each name what gives the numbers, and its argument."""
    found = {f"method {name}": (_of_method, name) for name in ace.explain.methods().index}
    return found | {f"model {name}": (_of_model, name) for name in MODELS}


def _revision(subject: str) -> int:
    kind, name = subject.split()
    if kind == "model":
        return getattr(ace.model, name).revision
    return int(ace.explain.methods().loc[name, "revision"])


def _measured(subject: str) -> list[float]:
    measure, name = _subjects()[subject]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return measure(name)
    finally:
        torch.set_num_threads(threads)


def _same(found: list[float], stored: list[float]) -> bool:
    return len(found) == len(stored) and np.allclose(found, stored, rtol=TOLERANCE, atol=1e-6)


def _stored() -> dict[str, dict[str, Any]]:
    return json.loads(STORED.read_text()) if STORED.exists() else {}


@pytest.mark.parametrize("subject", _subjects())
def test_numbers_are_those_of_the_declared_revision(subject):
    stored = _stored().get(subject)
    mend = "store the new numbers with `python -m tests.test_revisions`"
    assert stored, f"No numbers are stored for {subject}: {mend}."
    assert stored["revision"] == _revision(subject), (
        f"{subject} declares revision {_revision(subject)}, numbers are stored of revision "
        f"{stored['revision']}: {mend}."
    )
    found = _measured(subject)
    assert _same(found, stored["numbers"]), (
        f"The numbers of {subject} changed, but its revision did not. If the change is intended, "
        f"raise `revision` and {mend}.\nstored: {stored['numbers']}\nfound:  {found}"
    )


def test_every_model_is_checked():
    public = {name for name in ace.model.__all__ if hasattr(getattr(ace.model, name), "train")}
    assert public == set(MODELS)


def _store() -> int:
    """Store the numbers of new revisions; give the number of changes without a new revision."""
    before, after, refused = _stored(), {}, []
    for subject in _subjects():
        found = {"revision": _revision(subject), "numbers": _measured(subject)}
        kept = before.get(subject)
        if kept and kept["revision"] == found["revision"]:
            if not _same(found["numbers"], kept["numbers"]):
                refused.append(subject)
            found = kept
        after[subject] = found | {"numbers": [float(f"{x:.6g}") for x in found["numbers"]]}
    lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in after.items())
    STORED.write_text(f"{{\n{lines}\n}}\n")
    for subject in refused:
        print(f"{subject} changed: raise its `revision` first", file=sys.stderr)
    return len(refused)


if __name__ == "__main__":
    sys.exit(_store())
