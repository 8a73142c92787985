"""The measures of the integration benchmark, by scib-metrics in an environment of its own.

    /their/python benchmarks/_scare_scib.py latents.npz

The file holds ``types`` and ``batches`` of the cells, ``unintegrated`` (principal components), and
latent spaces under ``z0``, ``z1``, … Printed, as the last line, is a list of what each has: every
measure, the mean of those of biology and of those of batches, and the total (.6 and .4 of them).
Nothing of ``ace`` is imported.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version

import anndata as ad
import numpy as np
import pandas as pd

TOTALS = {"Bio conservation": "bio", "Batch correction": "batch", "Total": "total"}


def main() -> None:
    """Judge all latent spaces of a file."""
    from scib_metrics.benchmark import Benchmarker

    kept = dict(np.load(sys.argv[1], allow_pickle=False))
    obs = pd.DataFrame({k: pd.Categorical(kept[k].astype(str)) for k in ("types", "batches")})
    obs.index = obs.index.astype(str)
    cells = ad.AnnData(np.zeros((len(obs), 1), np.float32), obs=obs)
    names = [f"z{i}" for i in range(sum(key.startswith("z") for key in kept))]
    for name in (*names, "unintegrated"):
        cells.obsm[name] = kept[name]
    found = Benchmarker(
        cells,
        batch_key="batches",
        label_key="types",
        embedding_obsm_keys=names,
        pre_integrated_embedding_obsm_key="unintegrated",
        progress_bar=False,
    )
    found.benchmark()
    table = found.get_results(min_max_scale=False).drop(index="Metric Type")
    answer = []
    for name in names:
        numbers = {str(k): float(v) for k, v in table.loc[name].items()}
        totals = {ours: numbers.pop(theirs) for theirs, ours in TOTALS.items()}
        measures = {k: round(v, 4) for k, v in numbers.items()}
        answer.append(totals | {"measures": measures, "scib_metrics": version("scib-metrics")})
    print(json.dumps(answer))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
