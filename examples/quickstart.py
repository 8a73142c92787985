"""From counts to signed gene panels of real blood cells: what `make demo` runs."""

from pathlib import Path

import numpy as np
import scanpy as sc

import ace

out = Path("quickstart_output")
out.mkdir(exist_ok=True)
# Counts of 700 blood cells, preprocessed and clustered as always.
cells = ace.datasets.pbmc68k()
adata = sc.AnnData(cells.layers["counts"], obs=cells.obs, var=cells.var)
sc.pp.normalize_total(adata, target_sum=1e4)
sc.pp.log1p(adata)
sc.pp.pca(adata)
sc.pp.neighbors(adata)
sc.tl.leiden(adata, flavor="igraph", n_iterations=2)
# For readers: beside the number of a cluster, the commonest label of its cells.
labels = adata.obs.groupby("leiden", observed=True)["bulk_labels"].agg(lambda x: x.mode()[0])
adata.rename_categories("leiden", [f"{i} {name.split('/')[0]}" for i, name in labels.items()])

# Which genes make each cluster what it is?
ace.tl.explain(adata, groupby="leiden")

# scanpy's plots read the answer, and so do ours.
dots = sc.pl.rank_genes_groups_dotplot(adata, key="ace", n_genes=4, dendrogram=False, show=False)
dots["mainplot_ax"].figure.savefig(out / "dotplot.png", bbox_inches="tight")
ace.pl.panels(adata, n_genes=8, show=False, save=out / "panels.png")
table = ace.get.explain_df(adata)
table.to_csv(out / "panels.csv", index=False)
adata.write_h5ad(out / "explained.h5ad")
top = table[table["rank"] <= 6].copy()
top["gene"] += np.where(top["enriched"], " +", " -")
print("The six genes that tell each cluster from the rest (+ enriched, - depleted):\n")
print(top.pivot(index="group", columns="rank", values="gene").to_string())
print(f"\nFigures, the whole table and the explained cells are in {out}/.")
