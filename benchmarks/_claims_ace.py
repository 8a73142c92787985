"""What Lu et al. (2021) claim for ACE. Their method is ``ACE + adversarial`` here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from _claims import Claim
from _evidence import (
    BASELINES,
    Evidence,
    Part,
    against,
    default_of,
    meets,
    paired,
    percent,
    reaches,
    rounded,
    shown,
    telling,
    values,
)
from _own_genes import own_genes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

METHOD = "ACE + adversarial"
#: What the paper compares with, as far as it is no way to explain ACE itself; DESeq2 apart.
THEIRS = ("JSD specificity", "GCE", "GRS")
#: Other ways to explain the same autoencoder.
SAME_NETWORK = ("ACE + smoothgrad", "ACE + shap")
#: The methods of Figure 3D, as far as they are run here.
FIGURE_3D_METHODS = (METHOD, *SAME_NETWORK, "DESeq2", *THEIRS)
LEVEL = "20 causal genes"
SIZES = (5, 10, 20, 50)
#: 1 % and 2 % of the 1838 genes: "particularly when the inclusion size is small (≤ 3 %)".
FEW = (18, 37)
ONE_PERCENT = 18
#: Genes of CD4 T cells that ACE alone found.
ONLY_ACE = ("CCL5", "GZMK", "SPOCD1", "SNRNP27")
#: Of MNIST: images that turn, the network's accuracy, and pixels that are few (as for Kratos).
FLIPPED, ACCURACY, FEW_PIXELS = 0.995, 0.987, 50


def _neighbours(evidence: Evidence, data: str) -> Sequence[Part]:
    rows = evidence.rows("structure", data=data)
    return [
        against(rows, f"jaccard@{k}", METHOD, BASELINES, best=-1, label=f"{k} genes")
        for k in SIZES
    ]


def _of_default(evidence: Evidence, data: str) -> str:
    rows = evidence.rows("structure", data=data)
    name = default_of(rows)
    found = [against(rows, f"jaccard@{k}", name, BASELINES, best=-1) for k in SIZES]
    better = [k for k, part in zip(SIZES, found, strict=True) if part.holds]
    at = ", ".join(map(str, better)) or "none of these numbers of"
    return f"`{name}` is below all of them at {at} genes"


def _below_causal(evidence: Evidence) -> Sequence[Part]:
    rows = evidence.rows("structure", data="symsim_220_clean")
    return [_first_below(rows, METHOD)]


def _first_below(rows: pd.DataFrame, method: str) -> Part:
    """The smallest panel that keeps more neighbours than the causal genes do."""
    level = values(rows, "jaccard@20", LEVEL)
    own = rows[rows["method"] == method] if "method" in rows else rows
    pair = paired(values(rows, "jaccard@20", method), level)
    if not len(pair.own):
        return Part("not measured", None)
    own, level = own[own["seed"].isin(pair.own.index)], pair.theirs
    curve = np.mean(own["jaccard"].tolist(), axis=0)
    sizes = np.array(own["n_genes"].iloc[0])
    below = sizes[[rounded(at, 3) < rounded(level.mean(), 3) for at in curve]]
    first = f"first below them with {below[0]} genes" if len(below) else "never below them"
    at = float(curve[np.flatnonzero(sizes == 20)[0]])
    said = f"{at:.3f} with 20 genes, the causal ones {shown(level, 3)}; {first}{pair.note}"
    return Part(said, bool(len(below) and below[0] < 20), own["seed"].nunique())


def _below_causal_default(evidence: Evidence) -> str:
    rows = evidence.rows("structure", data="symsim_220_clean")
    name = default_of(rows)
    return f"`{name}`: {_first_below(rows, name).said}"


def _discriminative(evidence: Evidence) -> Sequence[Part]:
    """Against what the paper compares with; DESeq2 is said to be above it."""
    rows = _figure_3(evidence)
    ahead = [
        against(rows, f"auroc@{k}", METHOD, (*THEIRS, *SAME_NETWORK), best=1, label=f"{k} genes")
        for k in FEW
    ]
    behind = [
        against(rows, f"auroc@{k}", "DESeq2", (METHOD,), best=1, label=f"DESeq2 better, {k} genes")
        for k in FEW
    ]
    return ahead + behind


def _discriminative_others(evidence: Evidence) -> str:
    """What the paper does not compare with, and the default."""
    rows = _figure_3(evidence)
    others = [name for name in BASELINES if name not in (*THEIRS, "DESeq2")]
    said = [
        f"{k} genes: {against(rows, f'auroc@{k}', name, others, best=1).said}, by `{name}`"
        for name in (METHOD, default_of(rows))
        for k in FEW
    ]
    return "with what the paper does not compare with, " + "; ".join(said)


def _figure_3(evidence: Evidence) -> pd.DataFrame:
    return evidence.rows("curves", data="pbmc3k_processed", protocol="in-sample")


def _redundancy(evidence: Evidence) -> Sequence[Part]:
    """Low are said to be GRS and the ways to explain the same network too: not judged."""
    rows = _figure_3(evidence)
    column = f"redundancy@{ONE_PERCENT}"
    return [
        against(rows, column, METHOD, (other,), best=-1)
        for other in ("DESeq2", "JSD specificity", "GCE")
    ]


def _panel_of_cd4(evidence: Evidence) -> pd.DataFrame:
    return evidence.rows("overlap", data="pbmc3k_processed")


def _depleted(evidence: Evidence) -> Sequence[Part]:
    rows = _panel_of_cd4(evidence)
    return [reaches(rows, "n_depleted", METHOD, 10, best=1, label="depleted of 18", decimals=0)]


def _depleted_elsewhere(evidence: Evidence) -> str:
    rows = _panel_of_cd4(evidence)
    name = default_of(rows)
    best = against(rows, "n_depleted", name, BASELINES, best=1, decimals=0)
    return f"`{name}`: {best.said}" if best.holds is not None else ""


def _alone(evidence: Evidence) -> Sequence[Part]:
    """Genes of its panel that none of the paper's other methods has."""
    first, missing = _first_of_figure_3d(evidence)
    if METHOD not in first or len(first) < 2:
        return [Part("not measured", None)]
    row = first[METHOD]
    others = [other for name, other in first.items() if name != METHOD]
    genes = own_genes(row, others, row["group"])
    depleted = len(set(genes) & set(row["depleted"][row["group"]]))
    known = [gene for gene in ONLY_ACE if gene in genes]
    said = f"{len(genes)} of its own ({', '.join(genes)})" if genes else "none of its own"
    return [
        Part(said, bool(genes), 1, missing),
        Part(f"{depleted} of them depleted", bool(genes) and depleted == len(genes), 1),
        Part(f"the published ones: {', '.join(known) or 'none'}", len(known) == len(ONLY_ACE), 1),
    ]


def _disagree(evidence: Evidence) -> Sequence[Part]:
    """Every method is compared with all others of the paper, ACE with no more than they."""
    first, missing = _first_of_figure_3d(evidence)
    if METHOD not in first or len(first) < 3:
        return [Part("not measured", None)]
    panels = {name: set(row["genes"][row["group"]]) for name, row in first.items()}
    by_all = sorted(set.intersection(*panels.values()))
    shared = {
        name: len(panel & set().union(*(panels[other] for other in panels if other != name)))
        for name, panel in panels.items()
    }
    own = shared.pop(METHOD)
    rival = max(shared, key=lambda name: shared[name])
    none = f"chosen by all {len(panels)} of the paper's 7 that were run: "
    most = f"shared with another of them: {own}, {shared[rival]} of {rival}"
    return [
        Part(none + (", ".join(by_all) or "no gene"), not by_all, 1, missing),
        Part(most, own > shared[rival], 1, missing),
    ]


def _first_of_figure_3d(evidence: Evidence) -> tuple[dict[str, pd.Series], tuple[str, ...]]:
    """Rows of the paper's methods, of the first seed that ACE has; and those that have none."""
    rows = _panel_of_cd4(evidence)
    seeds = rows.loc[rows["method"] == METHOD, "seed"] if len(rows) else rows
    if not len(seeds):
        return {}, FIGURE_3D_METHODS
    rows = rows[(rows["seed"] == seeds.min()) & rows["method"].isin(FIGURE_3D_METHODS)]
    found = {row["method"]: row for _, row in rows.iterrows()}
    return found, tuple(name for name in FIGURE_3D_METHODS if name not in found)


def _recovers(evidence: Evidence) -> Sequence[Part]:
    return [
        reaches(evidence.rows("clusters", data=data), "ari", "ACE", 0.8, best=1, label=title)
        for data, title in (
            ("pbmc3k_processed", "PBMC3k, ARI"),
            ("symsim_220_clean", "clean set"),
            ("symsim_220_complex", "complex set"),
        )
    ]


def _digits(evidence: Evidence) -> Sequence[Part]:
    rows = evidence.rows("mnist", network="convolutional")
    if not len(rows):
        return [Part("not measured", None)]
    network = rows[rows["subject"] == "network"]
    pairs = rows[rows["subject"] == "proximal"]
    weights = pairs["n_images"]
    flipped = float(np.average(pairs["flipped"], weights=weights))
    assigned = float(np.average(pairs["assigned"], weights=weights))
    accuracy = float(network["accuracy"].iloc[0])
    pixels = float(pairs["n_pixels"].median())
    digits = telling(pixels, FEW_PIXELS, -1, 0)
    return [
        Part(
            f"accuracy {percent(accuracy, ACCURACY)} on the test images",
            meets(accuracy, ACCURACY, 1),
            1,
        ),
        Part(
            f"{len(pairs)} pairs, {weights.sum():.0f} images, {percent(flipped, FLIPPED)} flipped "
            f"({assigned:.1%} assigned to the target)",
            meets(flipped, FLIPPED, 1),
            1,
        ),
        Part(
            f"{pixels:.{digits}f} of 784 pixels changed (median)",
            meets(pixels, FEW_PIXELS, -1),
            1,
        ),
    ]


FIGURE_2, FIGURE_3, FIGURE_3D = "bench-structure", "bench-curves", "bench-overlap"
CLAIMS = (
    Claim(
        "Figure 2C",
        "On the clean simulated set, ACE keeps more neighbours than each baseline.",
        "lowest curve",
        lambda e: _neighbours(e, "symsim_220_clean"),
        lambda e: _of_default(e, "symsim_220_clean"),
        section=FIGURE_2,
    ),
    Claim(
        "Figure 2C",
        "Fewer than 20 of its genes keep more neighbours than the 20 causal genes.",
        "before 20 genes",
        _below_causal,
        _below_causal_default,
        section=FIGURE_2,
    ),
    Claim(
        "Figure 2D",
        "With dropout and batches, too, ACE keeps more than what does not correct batches.",
        "on a par with SmoothGrad and SHAP through its network",
        lambda e: _neighbours(e, "symsim_220_complex"),
        lambda e: _of_default(e, "symsim_220_complex"),
        section=FIGURE_2,
    ),
    Claim(
        "Figure 3B",
        "PBMC3k: with few genes ACE is the most discriminative but for DESeq2.",
        "highest AUROC up to 3 % of the genes, DESeq2 above it",
        _discriminative,
        _discriminative_others,
        section=FIGURE_3,
    ),
    Claim(
        "Figure 3C",
        "Its panels are among the least redundant, with GRS, SmoothGrad and SHAP; lower than "
        "those of DESeq2, JSD and GCE.",
        "curve among the lowest",
        _redundancy,
        section=FIGURE_3,
    ),
    Claim(
        "Figure 3D",
        "Most genes of CD4 T cells are depleted in them (judged by more than half of 18).",
        "15 of 18",
        _depleted,
        _depleted_elsewhere,
        section=FIGURE_3D,
    ),
    Claim(
        "Figure 3D",
        "Genes that ACE alone finds are depleted.",
        f"4 of 4: {', '.join(ONLY_ACE)}",
        _alone,
        section=FIGURE_3D,
    ),
    Claim(
        "Figure 3D",
        "The methods disagree, and ACE shares most genes with another. (The paper's methods.)",
        "no gene chosen by all; 14 of 18 shared",
        _disagree,
        section=FIGURE_3D,
    ),
    Claim(
        "Figure 3A, A.1, A.2",
        "Its k-means finds the types that are known (judged by an ARI of 0.8).",
        "shown by UMAP",
        _recovers,
        section="bench-clusters",
    ),
    Claim(
        "Figure 4, §5.3",
        "MNIST: small changes of pixels turn digits into others, by a network of 98.7 % (judged "
        f"by {FLIPPED:.1%} of the images, and at most {FEW_PIXELS} of 784 pixels, as for Kratos).",
        "98.7 %, 20 pairs",
        _digits,
        section="bench-images",
    ),
)
