"""Train every model in two processes, and write the final state of each to a folder.

Lightning starts the second process by running this file again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.conformance.conftest import CASES, ModelCase

import ace

if TYPE_CHECKING:
    from anndata import AnnData

#: 240 cells in minibatches of 60, which two processes can split evenly.
N_CELLS, BATCH_SIZE = 240, 60
WITHOUT_DROPOUT = ModelCase(
    name="KRATOS", setup={"labels_key": "bulk_labels"}, init={"n_hidden": (16, 8)}
)


def cells_of(case: ModelCase) -> AnnData:
    adata = ace.datasets.pbmc68k_reduced()
    common = adata.obs["bulk_labels"].value_counts().index[:3]
    adata = adata[adata.obs["bulk_labels"].isin(common)][:N_CELLS].copy()
    if case.cls._expects_counts:
        adata.X = adata.layers["counts"].astype(np.float32)
    return adata


def main(folder: Path) -> None:
    two = {"devices": 2, "strategy": "ddp"}
    for name, case, processes in [
        *((case.name, case, two) for case in CASES),
        ("no dropout in two", WITHOUT_DROPOUT, two),
        ("no dropout in one", WITHOUT_DROPOUT, {"devices": 1}),
    ]:
        adata = cells_of(case)
        parts = [np.arange(180), np.arange(180, N_CELLS)]
        options = {"max_epochs": 2, "batch_size": BATCH_SIZE, "external_indexing": parts}
        model = case.new(adata)
        case.fit(model, accelerator="cpu", **options | processes)
        history = {f"history_{k}": v.to_numpy(dtype=float) for k, v in model.history.items()}
        weights = {f"weight_{k}": v.numpy() for k, v in model.module.state_dict().items()}
        rank = dist.get_rank()
        np.savez(folder / f"{name} {rank}.npz", outputs=case.outputs(model), **history, **weights)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
