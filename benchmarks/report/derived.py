"""Numbers that follow from stored ones and that claims and tables need as columns."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.core.store import KEYS, Results
from benchmarks.report import evidence as e

#: The three explanations that Kratos plugs in.
EXPLANATIONS = ("adversarial", "smoothgrad", "integrated_gradients")
ACE = "ACE + adversarial"
#: The methods of ACE's Figure 3D, as far as they are run here.
FIGURE_3D = (ACE, "ACE + smoothgrad", "ACE + shap", "DESeq2", "JSD specificity", "GCE", "GRS")
#: Genes of CD4 T cells that ACE alone found.
ONLY_ACE = ("CCL5", "GZMK", "SPOCD1", "SNRNP27")
CD4 = "CD4 T cells"


def derived(results: Results, name: str, where: dict[str, Any]) -> pd.DataFrame:
    """Rows of an experiment, or of what is derived from one, by name."""
    return DERIVED[name](results, **where) if name in DERIVED else results.rows(name, **where)


def below_causal(results: Results, data: str) -> pd.DataFrame:
    """Genes until a panel keeps more neighbours than the 20 causal genes do; inf: never."""
    rows = results.rows("structure", data=data)
    found = []
    for method, own in rows.groupby("method"):
        pair = e.pairs(rows, "jaccard@20", method, [e.CAUSAL])
        if not pair or not len(pair[0].own):
            continue
        curve = own[own["seed"].isin(pair[0].own.index)].filter(like="jaccard@").mean().round(3)
        sizes = curve.index[curve < e.shown(pair[0].theirs.mean(), 3)].str.removeprefix("jaccard@")
        first = min(sizes.astype(int), default=np.inf)
        found += [{"method": method, "seed": s, "n_genes": first} for s in pair[0].own.index]
    return pd.DataFrame(found)


def structure_levels(results: Results) -> pd.DataFrame:
    """Rankings of the structure, the causal genes not beside but below them."""
    rows = results.rows("structure").assign(below="")
    level = rows["method"] == e.CAUSAL
    for name, own in rows[level].groupby("data"):
        told = f"\nThe {e.CAUSAL} alone: {own['jaccard@20'].mean():.3f}.\n"
        rows.loc[rows["data"] == name, "below"] = told
    return rows[~level]


def gains(results: Results, rival: str) -> pd.DataFrame:
    """Mean gain of Kratos in AUROC with 18 genes, in percent, over the three explanations."""
    rows = results.rows("curves", data="pbmc3k_processed", protocol="in-sample")
    found = []
    for name in EXPLANATIONS:
        (pair,) = e.pairs(rows, "auroc@18", f"KRATOS + {name}", [rival.format(name)])
        found.append(100 * (pair.own.mean() / pair.theirs.mean() - 1))
    gain = pd.Series(found).mean()
    return pd.DataFrame({"method": ["KRATOS"], "seed": [0], "gain": [gain]})


def alone(genes: pd.DataFrame, others: Collection[str]) -> pd.DataFrame:
    """Genes of panels (rows of the overlap) that none of some methods has, itself left out."""
    keys = ["seed", "group", "at"]
    theirs = genes[genes["method"].isin(others)].groupby(keys)["method"].nunique()
    n = genes.join(theirs.rename("n"), on=keys)["n"].fillna(0)
    return genes[n == genes["method"].isin(others)]


def overlap(results: Results, data: str) -> pd.DataFrame:
    """How many genes of each method's panel no other baseline has."""
    rows, keys = results.rows("overlap", data=data), ["method", "seed"]
    genes = results.values("overlap", data=data, metric="depleted")
    baselines = [name for name in rows["method"].unique() if e.is_baseline(name)]
    only = alone(genes, baselines) if baselines else genes.iloc[:0]
    told = pd.DataFrame({"n_only_all_types": only.groupby(keys).size()})
    own = only[only["group"] == CD4].groupby(keys)
    told["n_only"], told["n_only_depleted"] = own.size(), own["value"].sum()
    told["only"] = own["at"].agg(", ".join)
    told["n_only_all_types"] /= genes["group"].nunique()
    return rows.join(told.fillna({"n_only": 0, "n_only_depleted": 0, "only": ""}), on=keys)


def overlap_genes(results: Results) -> pd.DataFrame:
    """The overlap of all sets; genes of a single method are listed below its first seed."""
    parts = [overlap(results, name) for name in results.rows("overlap")["data"].unique()]
    for part in parts:
        first = part[(part["seed"] == part["seed"].min()) & (part["only"].fillna("") != "")]
        own = "".join("- `" + first["method"] + "`: " + first["only"] + "\n")
        part["below"] = f"\nGenes that no baseline (no other one) has:\n\n{own}" if own else ""
    return pd.concat([results.rows("overlap").iloc[:0], *parts])


def figure_3d(results: Results) -> pd.DataFrame:
    """Agreement of the paper's methods on CD4 T cells, first seed."""
    genes = results.values("overlap", data="pbmc3k_processed", metric="depleted", group=CD4)
    genes = genes[(genes["seed"] == genes["seed"].min()) & genes["method"].isin(FIGURE_3D)]
    only = alone(genes, FIGURE_3D)
    n_methods = genes["method"].nunique()
    counts = genes.groupby("at")["method"].nunique()
    found = pd.DataFrame({"n": genes.groupby("method").size()})
    own = only.groupby("method")
    found["n_own"] = own.size()
    found["own_depleted"] = own["value"].mean()
    found["n_published"] = own["at"].apply(lambda at: at.isin(ONLY_ACE).sum())
    found = found.fillna({"n_own": 0, "n_published": 0}).assign(
        shared=lambda f: f["n"] - f["n_own"], common=(counts == n_methods).sum(), seed=0
    )
    return found.reset_index() if n_methods > 2 else found.iloc[:0].reset_index()


def digits(results: Results) -> pd.DataFrame:
    """All images of all pairs of each network, which is the ``method`` here."""
    rows, l1 = results.rows("mnist", data="mnist"), results.values("mnist", metric="l1")
    found = []
    for name, own in rows.groupby("protocol") if "flipped" in rows else []:
        network, pairs = (own[own["method"] == kind] for kind in ("network", "proximal"))
        n = pairs["n_images"]
        if not len(network) or not len(pairs):
            continue
        changes = l1[(l1["protocol"] == name) & (l1["method"] == "proximal")]["value"]
        numbers = {k: 100 * network[k].mean() for k in ("accuracy", "fidelity")}
        numbers |= {k: 100 * np.average(pairs[k], weights=n) for k in ("flipped", "assigned")}
        numbers |= {"n_pairs": len(pairs), "n_images": n.sum(), "l1": changes.median()}
        numbers |= {"n_pixels": pairs["n_pixels"].median()}
        numbers |= {"seconds": pairs["seconds"].sum() / n.sum()}
        found.append({"method": name, "protocol": name, "seed": 0} | numbers)
    return pd.DataFrame(found, columns=None if found else ["method", "seed"])


def solvers(results: Results) -> pd.DataFrame:
    """Other solvers beside ours of the same margin, for each network.

    Compared on the images that both were given, seconds on those on which both were timed.
    """
    rows, l1 = results.rows("mnist", data="mnist"), results.values("mnist", metric="l1")
    found = []
    for (network, name), own in rows.groupby(["protocol", "method"]):
        beside = (["protocol", "setting"], f"proximal, margin {name[-1]}")
        both = _beside(own, rows, *beside)
        if name.startswith(("proximal", "network")) or both.empty:
            continue
        of_images = l1[(l1["protocol"] == network) & (l1["method"] == name)]
        changes = _beside(of_images, l1, [*beside[0], "at"], beside[1])
        timed = both.dropna(subset=["seconds", "seconds_ours"]).sum()
        numbers = {"n_images": len(changes), "flipped": 100 * both["flipped"].mean()}
        numbers |= {"l1": changes["value"].median(), "our_l1": changes["value_ours"].median()}
        numbers |= {"no_larger": (changes["value_ours"] <= changes["value"]).mean()}
        numbers |= {"n_pixels": both["n_pixels"].median()}
        numbers |= {"our_pixels": both["n_pixels_ours"].median()}
        numbers |= {"seconds": timed["seconds"] / timed["n_images"]}
        numbers |= {"our_seconds": timed["seconds_ours"] / timed["n_images_ours"]}
        numbers |= {"ratio": numbers["seconds"] / numbers["our_seconds"]}
        name = name.replace("subgradient", "published solver")
        found.append({"method": name, "protocol": network, "seed": 0} | numbers)
    return pd.DataFrame(found)


def _beside(own: pd.DataFrame, rows: pd.DataFrame, keys: list[str], method: str) -> pd.DataFrame:
    """Rows of another method beside rows with the same keys."""
    return own.merge(rows[rows["method"] == method], on=keys, suffixes=("", "_ours"))


def table_2(results: Results) -> pd.DataFrame:
    """Latent spaces; Kratos' clusters are its predictions (§4.2)."""
    rows = results.rows("representations", data="pbmc3k_processed")
    fields = [f for f in ("silhouette", "ari", "ami") if f"{f}_predicted" in rows]
    return rows.assign(**{f: rows[f"{f}_predicted"].fillna(rows[f]) for f in fields})


def times_as_fast(results: Results) -> pd.DataFrame:
    """Training of ACE over that of Kratos, in seconds, on common seeds."""
    rows = results.rows("representations", data="pbmc3k_processed")
    (pair,) = e.pairs(rows, "train_seconds", "KRATOS, all cells", ["ACE"])
    ratio = pair.theirs.mean() / pair.own.mean()
    return pd.DataFrame({"method": ["KRATOS"], "seed": [0], "times": [ratio]})


def novelty(results: Results, data: str = "kang") -> pd.DataFrame:
    """Runs in which a type was hidden."""
    rows = results.rows("transfer", data=data)
    return rows[rows["protocol"].str.endswith(" hidden")].dropna(axis=1, how="all")


def on_gpu(results: Results) -> pd.DataFrame:
    """Times on a GPU, and how many times as long the processor takes."""
    rows = results.rows("gpu")
    gpu = rows["protocol"] != "processor"
    keys = ["data", "method", "seed"]
    both = rows[gpu].merge(rows[~gpu], on=keys, suffixes=("", "_processor"))
    for time in ("ms_epoch", "seconds_panel", "seconds_expected_gradients"):
        if len(both):
            both[f"{time}_ratio"] = both[f"{time}_processor"] / both[time]
    # Stored with the times of the GPU.
    agreement = both.reindex(columns=["jaccard_panel", "jaccard_expected_gradients"]).mean(axis=1)
    return both.assign(agreement=agreement)


SCARE, PLAIN = "SCARE", "SCARE, weight 0"
#: Beside each other in every table of a pathway; all others of ours are variants.
MAIN = (SCARE, f"{SCARE}, types not given", PLAIN, f"{SCARE}, random genes", "SCVI",
        f"{PLAIN}, the set's genes alone")  # fmt: skip


def pathways(results: Results) -> pd.DataFrame:
    """Pathways, with the accuracy that each run gains against the plain model of its seed."""
    rows = results.rows("scare", protocol="pathway")
    fields = [f for f in ("accuracy", "balanced_accuracy") if f in rows]
    keys = ["data", "setting", "seed"]
    plain = rows[rows["method"] == PLAIN].set_index(keys)[fields]
    lost = rows[fields] - rows[keys].join(plain, on=keys)[fields]
    # A difference from itself says nothing.
    rows = rows.join(lost.where(rows["method"] != PLAIN).add_suffix("_lost"))
    n = rows[rows["method"] == SCARE].groupby(keys[:2])["n_genes"].max() if len(rows) else {}
    of = [(d, s) for d, s in zip(rows["data"], rows["setting"], strict=True)]
    which = rows["setting"].replace("both", "both sets")
    return rows.assign(n=[n.get(key, np.nan) for key in of], which=which)


def time_by_type(results: Results) -> pd.DataFrame:
    """Models of time points, with the scores of each type."""
    rows, values = (call("scare", protocol="time") for call in (results.rows, results.values))
    own = values[values["group"] != ""]
    fields = own["metric"] + ":" + own["group"]
    wide = own.assign(field=fields).pivot(index=KEYS, columns="field", values="value")
    return rows.join(wide, on=KEYS)


def losses(results: Results) -> pd.DataFrame:
    """Our loss and its variants, both sets."""
    rows = pathways(results)
    ours = ~rows["method"].isin(MAIN) | (rows["method"] == SCARE)
    return rows[ours & (rows["setting"] == "both")]


def weights(results: Results) -> pd.DataFrame:
    """Losses and their weights, padded so that they sort as numbers do."""
    rows = results.rows("scare", protocol="weights")
    found = rows["method"].str.extract(r"^(?P<loss>.*), weight (?P<weight>[\d.e+]+)$")
    weight = found["weight"].astype(float)
    return rows.assign(loss=found["loss"], weight=weight.map("{:>10,.0f}".format), number=weight)


DERIVED: dict[str, Callable[..., pd.DataFrame]] = {
    call.__name__: call
    for call in (
        *(below_causal, structure_levels, gains, overlap_genes, figure_3d, digits, solvers),
        *(table_2, times_as_fast, novelty, on_gpu, pathways, time_by_type, losses, weights),
    )
}
