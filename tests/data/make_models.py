"""Save a tiny model of each class, with what it answers: ``python tests/data/make_models.py v1``.

Run it once for each version of the format, before the format changes, and keep the folder: the
tests load the models of all versions. The cells are a formula: no random generator decides.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

FOLDER = Path(__file__).parent / "models"
N_CELLS, N_GENES = 48, 20

MODELS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "KRATOS": ({"labels_key": "cluster"}, {"n_hidden": (6, 4), "scale": "zscore"}, {}),
    "ACE": (
        {"batch_key": "batch", "labels_key": "cluster"},
        {"n_hidden": (6,), "n_latent": 3, "n_selected": 8},
        {"batch_size": 24},
    ),
    "SCNYM": (
        {"labels_key": "type", "domain_key": ["batch"]},
        {"n_hidden": 6, "n_layers": 1},
        {"batch_size": 24},
    ),
    "SCARE": (
        {
            "batch_key": "batch",
            "labels_key": "cluster",
            "continuous_covariate_keys": ["age"],
            "categorical_covariate_keys": ["sex"],
        },
        {"n_hidden": 6, "n_latent": 3},
        {"batch_size": 24},
    ),
}


def cells(name: str, n_cells: int = N_CELLS) -> AnnData:
    """Counts by a formula, log-normalised for the models that want it; categories of all types."""
    i, j = np.mgrid[:n_cells, :N_GENES]
    cluster = np.arange(n_cells) % 3
    counts = (i * 7 + j * 13 + i * j) % 4 + 6 * (j % 3 == cluster[:, None])
    x = counts.astype(np.float32)
    if name != "SCARE":
        x = np.log1p(x / x.sum(1, keepdims=True) * 1e4)
    obs = pd.DataFrame(
        {
            "cluster": pd.Categorical(cluster),
            "type": np.where(i[:, 0] % 4 == 3, "Unknown", np.array(["B", "T", "NK"])[cluster]),
            "batch": pd.Categorical(np.arange(n_cells) // 2 % 2 == 1),
            "sex": np.array(["f", "m"])[np.arange(n_cells) // 3 % 2],
            "age": np.arange(n_cells) % 5 / 4,
        },
        index=[f"cell{k}" for k in range(n_cells)],
    )
    return AnnData(
        sparse.csr_matrix(x), obs=obs, var=pd.DataFrame(index=[f"g{k}" for k in range(N_GENES)])
    )


def answers(model: Any) -> dict[str, list[Any]]:
    """Outputs of a model for other cells."""
    other = cells(type(model).__name__, 12)
    found = {"latent": model.get_latent_representation(other).tolist()}
    if hasattr(model, "predict"):
        found["labels"] = model.predict(other).tolist()
        found["soft"] = model.predict(other, soft=True).to_numpy().tolist()
    if hasattr(model, "novelty"):
        found["novelty"] = model.novelty(other).tolist()
    if hasattr(model, "get_attributions"):
        found["attributions"] = model.get_attributions(other).to_numpy().tolist()
    return found


def make(name: str) -> Any:
    """Train a tiny model."""
    from ace import model as models

    setup, init, train = MODELS[name]
    adata = cells(name)
    if name == "SCARE":
        init = init | {
            "ground_truth": [
                models.GroundTruth(["g0", "g3"], name="genes", weight=2.0),
                models.GroundTruth({0: ["g0"], 2: ["g2", "g5"]}, name="types"),
                models.GroundTruth(adata.X > 6, name="cells"),
            ]
        }
    cls = getattr(models, name)
    cls.setup_anndata(adata, **setup)
    model = cls(adata, random_state=0, **init)
    model.train(max_epochs=2, enable_progress_bar=False, accelerator="cpu", **train)
    return model


def main(version: str) -> None:
    """Save the models of one version of the format."""
    for name in MODELS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make(name)
            folder = FOLDER / version / name
            model.save(str(folder))
            (folder / "answers.json").write_text(json.dumps(answers(model)))


if __name__ == "__main__":
    main(sys.argv[1])
