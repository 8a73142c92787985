"""What the documentation shows of curves.json, stability.json, representations.json, overlap.json.

Also the leaders: where the default of ``ace.tl.explain`` stands among all that was run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from _evidence import Pair, default_of, hardest, is_baseline, rivals, values
from _own_genes import with_own_genes
from _tables import Column, classed, markdown, mean_table, ordered, read, seeds

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

#: Order and titles of the sets of curves.
TITLES = {
    "pbmc3k_processed": "PBMC3k, scaled values of the published 1838 genes",
    "pbmc3k": "PBMC3k, log1p(CP10k) of the counts, 2000 variable genes",
    "baron_mouse_whole": "Baron mouse pancreas, all genes, types of at least 10 cells",
    "baron_mouse": "Baron mouse pancreas, 3000 variable genes",
    "pbmc68k": "PBMC68k, 700 cells bundled with scanpy (not used to choose the default)",
}
SHORT = {
    "pbmc3k_processed": "PBMC3k, as published",
    "pbmc3k": "PBMC3k, counts",
    "baron_mouse_whole": "pancreas, all genes",
    "baron_mouse": "pancreas",
    "pbmc68k": "PBMC68k",
}
PROTOCOLS = ("in-sample", "held-out")
#: Redundancy of fewer genes is that of a handful of pairs.
ENOUGH = 15
KINDS = {
    "seeds": "another seed, the same cells",
    "halves": "two random halves of the cells",
}
STABILITY = (
    Column("jaccard", "Jaccard of the top genes", 2, 1),
    Column("jaccard_large", "of types with at least 50 cells", 2, 1),
    Column("rbo", "rank-biased overlap", 2, 1),
)

#: Clusters are those of k-means; what a classifier predicts is compared beside them.
REPRESENTATIONS = (
    Column("silhouette", "silhouette", 3, 1),
    Column("ari", "ARI", 3, 1),
    Column("ami", "AMI", 3, 1),
    Column("silhouette_types", "silhouette of the types", 3, 1),
    Column("silhouette_predicted", "as predicted: silhouette", 3),
    Column("ari_predicted", "ARI", 3),
    Column("ami_predicted", "AMI", 3),
    Column("accuracy", "accuracy", 3),
    Column("train_seconds", "seconds of training", 1),
)
OVERLAP = (
    Column("n_depleted", "depleted", 0),
    Column("n_called_depleted", "called depleted", 0),
    Column("n_depleted_all_types", "depleted, mean of all types", 1),
    Column("n_only", "its own", 0),
    Column("n_only_depleted", "of these depleted", 0),
    Column("n_only_all_types", "its own, mean of all types", 1),
)


def tables(folder: Path) -> dict[str, str]:
    """Give markdown by name; empty where nothing was measured."""
    curves = read(folder / "curves.json")
    return {
        "curves_in_sample": _curves(curves, "in-sample"),
        "curves_held_out": _curves(curves, "held-out"),
        "curves_leaders": leaders(curves),
        "stability": _stability(read(folder / "stability.json")),
        "overlap": _overlap(with_own_genes(read(folder / "overlap.json"))),
        "representations": _representations(read(folder / "representations.json")),
    }


def _curves(rows: pd.DataFrame, protocol: str) -> str:
    """A table for each set; of one seed, the spread is that over groups and folds."""
    parts = []
    rows = rows[rows["protocol"] == protocol] if len(rows) else rows
    for data in ordered(rows["data"].unique(), list(TITLES)) if len(rows) else []:
        part = rows[rows["data"] == data].dropna(axis=1, how="all")
        sizes = sizes_of(part)
        columns = [Column(f"auroc@{k}", f"AUROC @{k}", 3, 1) for k in sizes]
        columns += [
            Column(f"redundancy@{k}", f"redundancy @{k}", 3, -1) for k in sizes if k >= ENOUGH
        ]
        note = f", {part['n_groups'].max():.0f} types" if "n_groups" in part else ""
        one_seed = part["seed"].nunique() == 1
        if one_seed:
            note += ", ± standard error over types and folds"
        text = mean_table(part, "method", columns, _sem if one_seed else None)
        parts.append(f"**{TITLES.get(data, data)}{note}** {seeds(part)}\n\n{text}")
    return "\n".join(parts)


def _sem(field: str) -> str:
    """Where a row of one seed keeps the error of a field."""
    return field.replace("@", "_sem@")


def sizes_of(rows: pd.DataFrame) -> list[int]:
    """Numbers of genes that panels were judged with."""
    return sorted(int(name.removeprefix("auroc@")) for name in rows if name.startswith("auroc@"))


def leaders(rows: pd.DataFrame) -> str:
    """For each set, protocol and number of genes: the default, the best baseline, the best."""
    lines = []
    for data in ordered(rows["data"].unique(), list(SHORT)) if len(rows) else []:
        for protocol in PROTOCOLS:
            part = rows[(rows["data"] == data) & (rows["protocol"] == protocol)]
            part = part.dropna(axis=1, how="all")
            lines += [_leader(part, data, protocol, k) for k in sizes_of(part)]
    head = ["panels", "genes", "default", "its place", "best baseline", "best of all"]
    lines = [line for line in lines if line]
    return classed(markdown(head, lines, n_words=len(head)), "leaders") if lines else ""


def _leader(rows: pd.DataFrame, data: str, protocol: str, k: int) -> list[str]:
    """A line; each is compared with the default on the seeds that both have."""
    field, default = f"auroc@{k}", default_of(rows)
    pairs, _ = rivals(rows, field, default, lambda _: True)
    baselines = [pair for pair in pairs if is_baseline(pair.name)]
    if not baselines:
        return []
    rival, best = hardest(baselines, 1, 3), hardest(pairs, 1, 3)
    place = 1 + sum(pair.margin(1, 3) < 0 for pair in pairs)
    own = values(rows, field, default)

    def said(name: str, found: pd.Series) -> str:
        redundancy = values(rows, f"redundancy@{k}", name).reindex(found.index).mean()
        return f"{found.mean():.3f} ({redundancy:.2f})"

    def other(pair: Pair) -> str:
        against = f", against {pair.own.mean():.3f} †" if pair.note else ""
        return f"{pair.name} {said(pair.name, pair.theirs)}{against}"

    bold = "**" if rival.margin(1, 3) >= 0 else ""
    return [
        f"{SHORT.get(data, data)}, {protocol}",
        str(k),
        f"{bold}{said(default, own)}{bold}",
        f"{place} of {len(pairs) + 1}",
        other(rival),
        "the default" if best.margin(1, 3) >= 0 else other(best),
    ]


def _stability(rows: pd.DataFrame) -> str:
    """A table for each set and kind."""
    parts = []
    for data in ordered(rows["data"].unique(), list(TITLES)) if len(rows) else []:
        for kind, title in KINDS.items():
            part = rows[(rows["data"] == data) & (rows["kind"] == kind)]
            if len(part):
                pairs = part["seed"].nunique()
                of = f"({pairs} pairs)" if pairs > 1 else "(1 pair)"
                text = mean_table(part, "method", STABILITY)
                parts.append(f"**{TITLES.get(data, data)}: {title}** {of}\n\n{text}")
    return "\n".join(parts)


def _representations(rows: pd.DataFrame) -> str:
    """A table for each set."""
    parts = []
    for data in ordered(rows["data"].unique(), list(TITLES)) if len(rows) else []:
        part = rows[rows["data"] == data]
        text = mean_table(part, "method", REPRESENTATIONS)
        parts.append(f"**{TITLES.get(data, data)}** {seeds(part)}\n\n{text}")
    return "\n".join(parts)


def _overlap(rows: pd.DataFrame) -> str:
    """A table for each set, and the genes that only one method has."""
    parts = []
    for data in ordered(rows["data"].unique(), list(TITLES)) if len(rows) else []:
        part = rows[rows["data"] == data]
        group, n_top = part["group"].iloc[0], part["n_top"].iloc[0]
        title = f"**{TITLES.get(data, data)}: {group}, the first {n_top} genes** {seeds(part)}"
        parts.append(f"{title}\n\n{mean_table(part, 'method', OVERLAP)}")
        first = part[part["seed"] == part["seed"].min()]
        own = [
            f"- `{row['method']}`: {row['only']}\n"
            for row in first.to_dict("records")
            if isinstance(row.get("only"), str) and row["only"]
        ]
        if own:
            parts.append("Genes that no baseline (no other one) has:\n\n" + "".join(own))
    return "\n".join(parts)
