"""The measures of the integration benchmark, by scib-metrics in an environment of its own.

    /their/python benchmarks/methods/scib.py latent.npz

The file holds ``type`` and ``batch`` of the cells, ``unintegrated`` (principal components) and
the latent space ``z``. Printed, as the last line, is every measure, the means of those of biology
and of batches, and the total (.6 and .4 of them). Nothing of ``ace`` is imported.
"""

import json
import sys
import warnings

import anndata as ad
import numpy as np
import pandas as pd

TOTALS = {"Bio conservation": "bio", "Batch correction": "batch", "Total": "total"}

if __name__ == "__main__":
    from scib_metrics.benchmark import Benchmarker

    warnings.simplefilter("ignore")
    kept = dict(np.load(sys.argv[1], allow_pickle=False))
    obs = pd.DataFrame({k: pd.Categorical(kept[k].astype(str)) for k in ("type", "batch")})
    obs.index = obs.index.astype(str)
    cells = ad.AnnData(np.zeros((len(obs), 1), np.float32), obs=obs)
    for name in ("z", "unintegrated"):
        cells.obsm[name] = kept[name]
    found = Benchmarker(
        cells,
        batch_key="batch",
        label_key="type",
        embedding_obsm_keys=["z"],
        pre_integrated_embedding_obsm_key="unintegrated",
        progress_bar=False,
    )
    found.benchmark()
    numbers = found.get_results(min_max_scale=False).loc["z"].astype(float)
    print(json.dumps({TOTALS.get(k, f"measure@{k}"): round(v, 5) for k, v in numbers.items()}))
