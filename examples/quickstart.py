"""Explain clusters of blood cells by gene panels, starting from counts. `make demo` runs this."""

from pathlib import Path

import numpy as np
import scanpy as sc

import ace

out = Path("quickstart_output")
out.mkdir(exist_ok=True)

# Preprocess and cluster the counts of 700 blood cells.
cells = ace.datasets.pbmc68k_reduced()
adata = sc.AnnData(cells.layers["counts"], obs=cells.obs, var=cells.var)
sc.pp.normalize_total(adata, target_sum=1e4)
sc.pp.log1p(adata)
sc.pp.pca(adata)
sc.pp.neighbors(adata)
sc.tl.leiden(adata, flavor="igraph", n_iterations=2)
# Add the most frequent published label to the name of each cluster.
labels = adata.obs.groupby("leiden", observed=True)["bulk_labels"].agg(lambda x: x.mode()[0])
adata.rename_categories("leiden", [f"{i} {name.split('/')[0]}" for i, name in labels.items()])

# Which genes define each cluster?
ace.tl.explain(adata, groupby="leiden")

# Plot the result with scanpy and with ace, and save it.
dots = sc.pl.rank_genes_groups_dotplot(adata, key="ace", n_genes=4, dendrogram=False, show=False)
dots["mainplot_ax"].figure.savefig(out / "dotplot.png", bbox_inches="tight")
ace.pl.panels(adata, n_genes=8, show=False, save=out / "panels.png")
table = ace.get.explain_df(adata)
table.to_csv(out / "panels.csv", index=False)
adata.write_h5ad(out / "explained.h5ad")
top = table[table["rank"] <= 6].copy()
top["gene"] += np.where(top["enriched"], " +", " -")
print("The top six genes of each cluster (+ enriched, - depleted):\n")
print(top.pivot(index="group", columns="rank", values="gene").to_string())
print(f"\nFigures, the complete table and the explained cells are in {out}/.")
