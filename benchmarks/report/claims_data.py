"""The claims of the four papers, and the levels that were set for the default."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.report.claims import CLOSE, Claim, Part
from benchmarks.report.derived import EXPLANATIONS, FIGURE_3D, ONLY_ACE
from benchmarks.report.evidence import BASELINES, DEFAULT

ACE = "ACE + adversarial"
KRATOS = tuple(f"KRATOS + {name}" for name in EXPLANATIONS)
#: What the ACE paper compares with; DESeq2 apart.
THEIRS = ("JSD specificity", "GCE", "GRS", "ACE + smoothgrad", "ACE + shap")
OTHERS = tuple(name for name in BASELINES if name not in (*THEIRS, "DESeq2"))
FIGURE_3 = ("curves", {"data": "pbmc3k_processed", "protocol": "in-sample"})
PANCREAS = ("curves", {"data": "baron_mouse_whole", "protocol": "in-sample"})
TRUTH = ("panels", {"data": "symsim_140_clean", "protocol": "truth"})
OVERLAP = ("overlap", {"data": "pbmc3k_processed"})
SCNYM, NEW = "SCNYM", "SCNYM, new_identity"
#: What is compared with on Kang; of the paper's tools the SVM only.
TOOLS = (
    *("celltypist", "SCANVI", "linear SVM", "linear SVM, variable genes"),
    *("logistic regression", "logistic regression, variable genes"),
)
PLAIN = "SCARE, weight 0"


def rows(name: str, **where: Any) -> tuple[str, dict[str, Any]]:
    """Rows of an experiment."""
    return name, where


def kang(source: str) -> tuple[str, dict[str, Any]]:
    """Label transfer from one condition."""
    return rows("transfer", data="kang", protocol="as they are", setting=source)


def neighbours(data: str, method: str) -> tuple[Part, ...]:
    """Distance of neighbourhoods against every baseline, with 5 to 50 genes."""
    return tuple(
        Part(f"jaccard@{k}", method, rows("structure", data=data), BASELINES, best=-1,
             label=f"{k} genes" if method == ACE else f"`{method}`, {k} genes")
        for k in (5, 10, 20, 50)
    )  # fmt: skip


def table_2(cells: str) -> tuple[Part, ...]:
    """Kratos' Table 2: agreement of clusters with types."""
    own = f"KRATOS, {cells}"
    agreement = {"ari": "ARI", "ami": "AMI", "silhouette": "silhouette"}
    of = rows("table 2")
    return (
        *(Part(metric, own, of, ("ACE",), label=title) for metric, title in agreement.items()),
        *(Part(metric, own, of, ("GCE",), label=title) for metric, title in agreement.items()
          if metric != "silhouette"),
        Part("silhouette", "GCE", of, (own,), label="GCE's silhouette"),
    )  # fmt: skip


def k_means(cells: str) -> tuple[Part, ...]:
    """Clusters of Kratos' embedding, instead of its predictions."""
    of = rows("representations", data="pbmc3k_processed")
    return tuple(
        Part(metric, f"KRATOS, {cells}", of, ("ACE",), label=f"by k-means, {title}")
        for metric, title in (("silhouette", "silhouette"), ("ari", "ARI"), ("ami", "AMI"))
    )


def gain(rival: str, published: float) -> tuple[Part, ...]:
    """Kratos' AUROC with each explanation against a rival's, and the mean gain in percent."""
    each = tuple(
        Part("auroc@18", f"KRATOS + {name}", FIGURE_3, (rival.format(name),), label=name)
        for name in EXPLANATIONS
    )
    mean = Part("gain", "KRATOS", rows("gains", rival=rival), level=published, decimals=2)
    return (*each, _labelled(mean, "mean gain, %"))


def _labelled(part: Part, label: str) -> Part:
    return Part(**{**part.__dict__, "label": label})


def digits(network: str) -> tuple[Part, ...]:
    """Images that turn, and pixels that change."""
    return (
        Part("flipped", network, rows("digits"), level=99.5, label="% flipped", decimals=1),
        Part("n_pixels", network, rows("digits"), level=50, best=-1, decimals=0,
             label="pixels changed (median)"),
    )  # fmt: skip


def ablation(metric: str, best: int) -> tuple[Part, ...]:
    """SCNYM with and without two of its parts."""
    return tuple(
        Part(metric, SCNYM, kang(source), (f"{SCNYM}, {part}",), best=best, label=title)
        for source, title in (("CTRL", "CTRL → STIM"), ("STIM", "STIM → CTRL"))
        for part in ("no_mixmatch", "no_adversary")
    )


def default_curves(sizes: tuple[int, ...], **options: Any) -> tuple[Part, ...]:
    """The default against every baseline on PBMC3k, both normalisations and protocols."""
    return tuple(
        Part(f"auroc@{k}", DEFAULT, rows("curves", data=data, protocol=protocol), BASELINES,
             label=f"{title}, {protocol}" + (f", {k} genes" if len(sizes) > 1 else ""), **options)
        for data, title in (("pbmc3k_processed", "as published"), ("pbmc3k", "counts"))
        for protocol in ("in-sample", "held-out")
        for k in sizes
    )  # fmt: skip


def default_pancreas() -> tuple[Part, ...]:
    """The default on the whole pancreas: a level, and every baseline."""
    parts = []
    for protocol in ("in-sample", "held-out"):
        of = rows("curves", data="baron_mouse_whole", protocol=protocol)
        for k, level in ((15, 0.985), (149, 0.99)):
            label = f"{protocol}, {k} genes"
            parts.append(Part(f"auroc@{k}", DEFAULT, of, level=level, label=label))
            parts.append(Part(f"auroc@{k}", DEFAULT, of, BASELINES, label=label))
    return tuple(parts)


def default_stability() -> tuple[Part, ...]:
    """The default between seeds and between halves of the cells."""
    parts = []
    for data in ("baron_mouse", "pbmc3k", "pbmc3k_processed", "pbmc68k"):
        for protocol, level in (("seeds", 0.8), ("halves", 0.55)):
            of = rows("stability", data=data, protocol=protocol)
            shared = {"label": f"{data}, {protocol}", "decimals": 2}
            parts.append(Part("jaccard", DEFAULT, of, level=level, **shared))
        rivals = ("Wilcoxon, abs", "Wilcoxon, by score")
        parts.append(Part("jaccard", DEFAULT, of, rivals, **shared))
    return tuple(parts)


_ace_2 = partial(Claim, section="bench-structure")
_curves = partial(Claim, section="bench-curves")
_overlap = partial(Claim, section="bench-overlap")
CLAIMS_ACE = (
    _ace_2(
        "Figure 2C",
        "On the clean simulated set, ACE keeps more neighbours than each baseline.",
        "lowest curve",
        parts=neighbours("symsim_220_clean", ACE),
        beside=neighbours("symsim_220_clean", DEFAULT),
    ),
    _ace_2(
        "Figure 2C",
        "Fewer than 20 of its genes keep more neighbours than the 20 causal genes.",
        "before 20 genes",
        parts=(Part("n_genes", ACE, rows("below causal", data="symsim_220_clean"), level=19,
                    best=-1, decimals=0, label="genes until below the causal ones"),),
        beside=(Part("n_genes", DEFAULT, rows("below causal", data="symsim_220_clean"),
                     decimals=0, label=f"`{DEFAULT}`"),),
    ),
    _ace_2(
        "Figure 2D",
        "With dropout and batches, too, ACE keeps more than what does not correct batches.",
        "on a par with SmoothGrad and SHAP through its network",
        parts=neighbours("symsim_220_complex", ACE),
        beside=neighbours("symsim_220_complex", DEFAULT),
    ),
    _curves(
        "Figure 3B",
        "PBMC3k: with few genes ACE is the most discriminative but for DESeq2.",
        "highest AUROC up to 3 % of the genes, DESeq2 above it",
        parts=(
            *(Part(f"auroc@{k}", ACE, FIGURE_3, THEIRS, label=f"{k} genes") for k in (18, 37)),
            *(Part(f"auroc@{k}", "DESeq2", FIGURE_3, (ACE,), label=f"DESeq2 better, {k} genes")
              for k in (18, 37)),
        ),
        beside=tuple(
            Part(f"auroc@{k}", name, FIGURE_3, OTHERS, label=f"`{name}` and other baselines, {k}")
            for name in (ACE, DEFAULT) for k in (18, 37)
        ),
    ),
    _curves(
        "Figure 3C",
        "Its panels are among the least redundant, with GRS, SmoothGrad and SHAP; lower than "
        "those of DESeq2, JSD and GCE.",
        "curve among the lowest",
        parts=tuple(Part("redundancy@18", ACE, FIGURE_3, (other,), best=-1)
                    for other in ("DESeq2", "JSD specificity", "GCE")),
    ),
    _overlap(
        "Figure 3D",
        "Most genes of CD4 T cells are depleted in them (judged by more than half of 18).",
        "15 of 18",
        parts=(Part("n_depleted", ACE, OVERLAP, level=10, label="depleted of 18", decimals=0),),
        beside=(Part("n_depleted", DEFAULT, OVERLAP, BASELINES, decimals=0,
                     label=f"`{DEFAULT}`"),),
    ),
    _overlap(
        "Figure 3D",
        "Genes that ACE alone finds are depleted.",
        f"4 of 4: {', '.join(ONLY_ACE)}",
        parts=(
            Part("n_own", ACE, rows("figure 3D"), level=1, decimals=0, label="of its own"),
            Part("own_depleted", ACE, rows("figure 3D"), level=1, decimals=2,
                 label="share of them depleted"),
            Part("n_published", ACE, rows("figure 3D"), level=4, decimals=0,
                 label="published ones among them"),
        ),
    ),
    _overlap(
        "Figure 3D",
        "The methods disagree, and ACE shares most genes with another. (The paper's methods.)",
        "no gene chosen by all; 14 of 18 shared",
        parts=(
            Part("common", ACE, rows("figure 3D"), level=0, best=-1, decimals=0,
                 label="genes chosen by all"),
            Part("shared", ACE, rows("figure 3D"), FIGURE_3D[1:], decimals=0,
                 label="genes shared with another"),
        ),
    ),
    Claim(
        "Figure 3A, A.1, A.2",
        "Its k-means finds the types that are known (judged by an ARI of 0.8).",
        "shown by UMAP",
        "bench-clusters",
        parts=tuple(
            Part("ari", "ACE", rows("clusters", data=data), level=0.8, label=title)
            for data, title in (("pbmc3k_processed", "PBMC3k, ARI"),
                                ("symsim_220_clean", "clean set"),
                                ("symsim_220_complex", "complex set"))
        ),
    ),
    Claim(
        "Figure 4, §5.3",
        "MNIST: small changes of pixels turn digits into others, by a network of 98.7 % (judged "
        "by 99.5% of the images, and at most 50 of 784 pixels, as for Kratos).",
        "98.7 %, 20 pairs",
        "bench-images",
        parts=(Part("accuracy", "convolutional", rows("digits"), level=98.7, decimals=1,
                    label="accuracy, % of the test images"), *digits("convolutional")),
    ),
)  # fmt: skip
CLAIMS_KRATOS = (
    Claim(
        "Table 1",
        "Simulated set, top 20 genes: nearly half of them causal, hardly one noise, where ACE "
        "takes a quarter of its genes from the noise.",
        "9.0 / 10.8 / 0.2 causal / dependent / noise; ACE 8.8 / 6.0 / 5.2",
        "bench-truth",
        parts=(
            Part("causal", KRATOS[0], TRUTH, level=9, label="causal", decimals=1),
            Part("noise", KRATOS[0], TRUTH, level=0.2, best=-1, label="noise", decimals=1),
            Part("noise", KRATOS[0], TRUTH, (ACE,), best=-1, label="noise", decimals=1),
        ),
        beside=(
            Part("causal", DEFAULT, TRUTH, label=f"`{DEFAULT}`, causal", decimals=1),
            Part("noise", DEFAULT, TRUTH, label=f"`{DEFAULT}`, noise", decimals=1),
        ),
    ),
    Claim(
        "Table 2, all cells",
        "PBMC3k: Kratos' clusters, which are its predictions, agree best with the types; GCE's "
        "silhouette is highest.",
        "silhouette, ARI, AMI: Kratos .375, .850, .855; ACE .076, .522, .622; "
        "GCE .508, .762, .699",
        "bench-representations",
        table_2("all cells"),
        k_means("all cells"),
    ),
    Claim(
        "Table 2, held-out cells",
        "The same, of cells that the classifier did not see (the paper does not say which).",
        "as above",
        "bench-representations",
        table_2("held-out cells"),
        k_means("held-out cells"),
    ),
    _curves(
        "Figure 5a–c",
        "PBMC3k, 1 % of the genes: more discriminative than ACE, whatever explains.",
        "AUROC +3.31 % on average (+2.91 % to +3.64 %)",
        parts=gain("ACE + {}", 3.31),
    ),
    _curves(
        "Figure 5d",
        "PBMC3k, 1 % of the genes: more discriminative than GCE.",
        "AUROC +5.62 % on average",
        parts=gain("GCE", 5.62),
    ),
    _curves(
        "Figure 4",
        "PBMC3k, 1 % of the genes: more redundant than ACE, less than GCE.",
        "curves between those of ACE and GCE",
        parts=(
            *(Part("redundancy@18", own, FIGURE_3, (own.replace("KRATOS", "ACE"),),
                   label=f"{own} above") for own in KRATOS),
            *(Part("redundancy@18", own, FIGURE_3, ("GCE",), best=-1, label=f"{own} below")
              for own in KRATOS),
        ),
    ),
    _curves(
        "Figure 6a, 1 %",
        "Pancreas, 149 of 14 877 genes: good with any explanation.",
        "AUROC above .95",
        parts=tuple(Part("auroc@149", own, PANCREAS, level=0.95, label=own) for own in KRATOS),
    ),
    _curves(
        "Figure 6a, 1 ‰",
        "Pancreas, 1 ‰ of the genes: decent with any explanation, best with integrated gradients. "
        "(Here 15 of 14 877 genes.)",
        "AUROC .86 to .98; integrated gradients .98; “around 13 genes”",
        parts=(
            *(Part("auroc@15", own, PANCREAS, level=0.86, label=own) for own in KRATOS),
            Part("auroc@15", KRATOS[2], PANCREAS, level=0.98, label=f"{KRATOS[2]}, as published"),
        ),
    ),
    _curves(
        "Figure 6b",
        "Pancreas, 1 % of the genes: redundancy as on PBMC3k, the least with SmoothGrad.",
        ".10 to .15",
        parts=(
            Part("redundancy@149", KRATOS[1], PANCREAS, KRATOS, best=-1, label="SmoothGrad least"),
            *(Part("redundancy@149", own, PANCREAS, level=0.15, best=-1, label=own)
              for own in KRATOS),
        ),
    ),
    Claim(
        "§1, contribution 3",
        "Kratos trains in a tenth of the time of ACE.",
        "17 s against 161 s",
        "bench-representations",
        parts=(
            Part("train_seconds", "KRATOS, all cells",
                 rows("representations", data="pbmc3k_processed"), ("ACE",), best=-1, decimals=1,
                 label="seconds"),
            Part("times", "KRATOS", rows("times as fast"), level=161 / 17, decimals=1,
                 label="times as fast"),
        ),
    ),
    Claim(
        "Figure 7",
        "MNIST as vectors: few pixels turn digits into others (judged by "
        "99.5% of the images, and at most 50 of 784 pixels).",
        "12 pairs, top and bottom 25 pixels shown",
        "bench-images",
        digits("vector"),
    ),
)  # fmt: skip
CLAIMS_SCNYM = (
    Claim(
        "Table 1",
        "Blood cells, labels carried from unstimulated to stimulated ones: more accurate than "
        "other tools. (Here: celltypist, SCANVI and linear classifiers, the SVM among them; not "
        "run: scmap, singleCellNet, scPred, CHETAH. The defaults were chosen on this very task.)",
        ".917; SVM .819, best of the tools .903",
        "bench-transfer",
        parts=(Part("accuracy", SCNYM, kang("CTRL"), level=0.917),
               Part("accuracy", SCNYM, kang("CTRL"), TOOLS)),
        beside=tuple(Part("accuracy", name, kang("CTRL"), label=name)
                     for name in ("scNym, its own code", "SCNYM, published")),
    ),
    Claim(
        "Table 1",
        "Between technologies: accuracy above .90, above that of an SVM. (The paper's mouse "
        "tissues; here other data.)",
        ".936 and .914; SVM .931 and .884",
        "bench-transfer",
        parts=tuple(
            Part("accuracy", SCNYM, rows("transfer", data=data, protocol="as they are"),
                 label=title, **options)
            for data, title in (("pbmc_symphony", "blood cells"), ("cellmix", "cell lines"))
            for options in ({"level": 0.9}, {"rivals": ("linear SVM",)})
        ),
    ),
    Claim(
        "§3.2",
        "MixMatch and the adversary each make it more accurate.",
        "p < .05 on several tasks",
        "bench-transfer-parts",
        ablation("accuracy", 1),
    ),
    Claim(
        "Figure 2B",
        "MixMatch and the adversary each lower the calibration error.",
        "bars, no numbers in the text",
        "bench-transfer-parts",
        ablation("ece", -1),
    ),
    Claim(
        "§3.4",
        "Cells of types that nobody labelled get low confidence. (Brain cells from other tissues; "
        "here each type of blood cells in turn.)",
        "recall above .95",
        "bench-transfer-new",
        parts=(Part("flagged", NEW, rows("novelty"), level=0.95, label="recall"),),
        beside=(Part("auroc", NEW, rows("novelty"), label="AUROC of novelty",
                     rivals=("logistic regression", "logistic regression, variable genes",
                             "scNym, its own code, for new types")),),
    ),
)  # fmt: skip
PATHWAY = rows("scare", protocol="pathway", data="kang", setting="both")
TIME = rows("scare", protocol="time")
BY_TYPE, OF_ALL = "SCARE, genes by type", "SCARE, genes of all"
CLAIMS_SCARE = (
    Claim(
        "Figure 1a",
        "With the attribution loss the score of the chosen genes nears 1, for them alone "
        "(judged by 0.9).",
        "near 1; random sets and no loss below 0",
        "bench-scare",
        parts=(
            Part("fssf", "SCARE", PATHWAY, level=0.9, label="the genes"),
            Part("fssf_random", "SCARE", PATHWAY, level=0, best=-1, label="random sets"),
            Part("fssf", PLAIN, PATHWAY, level=0, best=-1, label="without the loss"),
        ),
    ),
    Claim(
        "Figure 1a, Eq. 7",
        "The same with the loss as published: squared differences of min-max scaled attributions. "
        "(At the default weight of this package.)",
        "as above",
        "bench-scare-losses",
        # The best of the scalars that the paper names, for it leaves the choice open.
        parts=(Part("fssf", ("published, encoder_sum", "published, encoder_norm",
                             "published, decoder_sum"), PATHWAY, level=0.9, label="best of 3"),),
    ),
    Claim(
        "Figure 4",
        "Integration is as good as without the loss (judged by at most 0.02 less).",
        "bars side by side",
        "bench-scare-integration",
        parts=tuple(
            Part(metric, "SCARE", rows("scare", protocol="integration"), (PLAIN,), label=title,
                 slack=0.02)
            for metric, title in (("bio", "biology"), ("batch", "batches"), ("total", "total"))
        ),
        beside=(Part("accuracy", "SCARE", PATHWAY, (PLAIN,), label="types told by neighbours"),),
    ),
    Claim(
        "Figure 3",
        "Genes that tell ages keep ages apart in the latent space, more so if chosen by type.",
        "less overlap, least by type",
        "bench-scare-time",
        parts=(
            Part("time_mixing", OF_ALL, TIME, (PLAIN,), best=-1,
                 label="ages mixed, genes of all"),
            Part("time_mixing", BY_TYPE, TIME, (PLAIN,), best=-1, label="by type"),
            Part("time_mixing", BY_TYPE, TIME, (OF_ALL,), best=-1, label="by type, against all"),
            Part("time_silhouette", BY_TYPE, TIME, (OF_ALL,), label="silhouette of age"),
        ),
    ),
)  # fmt: skip
PAPERS = {
    "ACE (Lu et al. 2021)": CLAIMS_ACE,
    "Kratos (Zhou et al. 2022)": CLAIMS_KRATOS,
    "scNym (Kimmel and Kelley 2021)": CLAIMS_SCNYM,
    "scARE (Inecik and Theis 2023)": CLAIMS_SCARE,
}
SPEED = rows("speed", protocol="baselines")
TARGETS = (
    _curves(
        "PBMC3k, 1 %",
        "The default's 18 genes tell types better than those of every baseline.",
        f"higher, or within {CLOSE} and less redundant",
        parts=default_curves((18,), tie="redundancy@18"),
    ),
    _curves(
        "PBMC3k, 3 and 5 genes",
        "The same with 3 and 5 genes.",
        "higher than every baseline",
        parts=default_curves((3, 5)),
    ),
    _curves(
        "Pancreas, 1 ‰ and 1 %",
        "The same with 15 and 149 of 14 877 genes, types of at least 10 cells.",
        "higher than every baseline; at least .985 and .99",
        parts=default_pancreas(),
    ),
    Claim(
        "Simulated set",
        "Top 20 of Kratos' set: causal genes, hardly noise.",
        "causal at least 10, noise at most .5",
        "bench-truth",
        parts=(
            Part("causal", DEFAULT, TRUTH, level=10, label="causal", decimals=1),
            Part("noise", DEFAULT, TRUTH, level=0.5, best=-1, label="noise", decimals=1),
        ),
    ),
    Claim(
        "Stability",
        "The top 18 are found again with another seed, and in the other half of the cells.",
        "mean Jaccard at least .80 between seeds; .55 between halves, above Wilcoxon's",
        "bench-stability",
        default_stability(),
    ),
    Claim(
        "Time and memory",
        "The default is faster than all baselines but the t-test and COSG.",
        "fewer seconds than each",
        "bench-speed",
        parts=tuple(Part("seconds", DEFAULT, SPEED, (rival,), best=-1, decimals=2)
                    for rival in sorted(BASELINES) if not rival.startswith(("t-test", "COSG"))),
        beside=(Part("peak_mb", DEFAULT, SPEED, decimals=0, label="peak memory, MB"),),
    ),
)  # fmt: skip
