"""The tables of the documentation: those of ``data/tables.csv``, and a few of another shape.

A row of the CSV is a table for each title: where its rows come from, which of them (in the order
in which they are given), its title and its lines as formats of a row, and its columns.
"""

from typing import Any

import pandas as pd

from benchmarks.core.store import KEYS, Results
from benchmarks.report import evidence as e
from benchmarks.report.derived import derived, novelty
from benchmarks.report.markdown import (
    SHORT,
    TITLES,
    Column,
    classed,
    columns,
    data,
    markdown,
    mean_table,
    number,
    ordered,
    plural,
    where,
)

NOTES = data("notes").set_index("value")["note"].to_dict()


def tables(results: Results) -> dict[str, str]:
    """Markdown by name; empty where nothing was measured."""
    found: dict[str, list[str]] = {}
    for table in data("tables").to_dict("records"):
        rows = _framed(derived(results, table["source"], {}), table)
        found.setdefault(table["table"], []).append(
            blocks(rows, columns(table["columns"]), table["by"], table["counted"])
        )
    written = {name: "\n".join(filter(None, parts)) for name, parts in found.items()}
    return written | {name: "\n".join(call(results)) for name, call in OTHERS.items()}


def _framed(rows: pd.DataFrame, table: dict[str, str]) -> pd.DataFrame:
    """The rows of a table in order, with their titles and the names of their lines."""
    order = {"data": list(TITLES)}
    for key, text in where(table["where"]).items():
        order[key] = text.split("|")
        rows = rows[rows[key].isin(order[key])] if key in rows else rows
    found = []
    for row in rows.to_dict("records"):
        place = [
            ((order[k].index(v), "") if v in order.get(k, ()) else (len(TITLES), v))
            for k, v in ((k, row.get(k, "")) for k in ("data", "protocol", "loss", "setting"))
        ]
        said = row | {"set": TITLES.get(row.get("data", ""), row.get("data"))}
        said["note"] = NOTES.get(row.get("protocol"), "") or NOTES.get(row.get("setting"), "")
        if pd.notna(row.get("threads")):
            said["on"] = "one thread" if row["threads"] == 1 else f"{row['threads']:.0f} threads"
        if str(row.get("setting", "")).isdigit():
            said["n_cells"] = int(row["setting"])
        title, line = (table[k].format(**said) for k in ("title", "label"))
        found.append((place, row | {"title": title, table["by"]: line}))
    found.sort(key=lambda pair: pair[0])
    return pd.DataFrame([row for _, row in found])


def blocks(rows: pd.DataFrame, shown: Any, by: str = "method", counted: str = "seed") -> str:
    """A table for each title, which says how many seeds there are if they are counted."""
    parts = []
    for title, part in rows.groupby("title", sort=False) if len(rows) else []:
        n = f" ({plural(part['seed'].nunique(), counted)})" if counted else ""
        head = f"**{title}**{n}\n\n" if title else ""
        below = part["below"].iloc[0] if "below" in part else ""
        parts.append(head + mean_table(part, by, shown) + below)
    return "\n".join(parts)


# -- rankings -------------------------------------------------------------------------------------


def sizes_of(rows: pd.DataFrame, metric: str = "auroc") -> list[int]:
    """Numbers of genes that panels were judged with."""
    return sorted(int(c.removeprefix(f"{metric}@")) for c in rows if c.startswith(f"{metric}@"))


def _leaders(results: Results) -> list[str]:
    """For each set, protocol and number of genes: the default, the best baseline, the best."""
    rows, lines = results.rows("curves"), []
    for name in ordered(rows["data"], TITLES):
        for protocol in ("in-sample", "held-out"):
            part = rows[(rows["data"] == name) & (rows["protocol"] == protocol)]
            part = part.dropna(axis=1, how="all")
            for k in sizes_of(part):
                if line := _leader(part, k):
                    lines.append([f"{SHORT.get(name, name)}, {protocol}", str(k), *line])
    head = ["panels", "genes", "default", "its place", "best baseline", "best of all"]
    return [classed(markdown(head, lines, n_words=len(head)), "leaders")] if lines else []


def _leader(rows: pd.DataFrame, k: int) -> list[str]:
    """A line; each method is compared with the default on the seeds that both have."""
    metric = f"auroc@{k}"
    pairs = e.pairs(rows, metric, e.DEFAULT, sorted(rows.dropna(subset=metric)["method"].unique()))
    baselines = [pair for pair in pairs if e.is_baseline(pair.name)]
    if not baselines:
        return []
    rival, best = e.hardest(baselines), e.hardest(pairs)
    place = 1 + sum(pair.margin(1, 3) < 0 for pair in pairs)

    def told(name: str, found: pd.Series) -> str:
        redundancy = e.values(rows, f"redundancy@{k}", name).reindex(found.index).mean()
        return f"{found.mean():.3f} ({redundancy:.2f})"

    def other(pair: e.Pair) -> str:
        against = f", against {pair.own.mean():.3f} †" if pair.note else ""
        return f"{pair.name} {told(pair.name, pair.theirs)}{against}"

    bold = "**" if rival.margin(1, 3) >= 0 else ""
    return [
        f"{bold}{told(e.DEFAULT, e.values(rows, metric, e.DEFAULT))}{bold}",
        f"{place} of {len(pairs) + 1}",
        other(rival),
        "the default" if best.margin(1, 3) >= 0 else other(best),
    ]


# -- label transfer -------------------------------------------------------------------------------


def _others(results: Results) -> list[str]:
    """A table for each other set: accuracy from each domain, and means."""
    rows, parts = results.rows("transfer", protocol="as they are"), []
    for name, part in rows[rows["data"] != "kang"].groupby("data"):
        wide = part.pivot_table(index=["method", "seed"], columns="setting", values="accuracy")
        means = part.groupby(["method", "seed"])[["accuracy", "balanced_accuracy", "ece"]].mean()
        means = means.where(wide.notna().all(axis=1))  # a mean of fewer domains is no mean
        shown = [Column(s, f"from {s}", 3, 1) for s in dict.fromkeys(part["setting"])]
        wide = wide.join(means).reset_index().assign(title=TITLES.get(str(name), name))
        parts.append(blocks(wide, [*shown, *columns("transfer_others")]))
    return parts


#: Methods of the table of flags; that of AUROC has all.
NEW = "SCNYM, new_identity"
FLAGGING = (
    *(NEW, "logistic regression", "logistic regression, variable genes"),
    *("scNym, its own code, for new types", "SCNYM, published, for new types"),
)


def _novelty(results: Results) -> list[str]:
    """AUROC of all methods for each hidden type, and what some of them flag."""
    rows = novelty(results)
    if "auroc" not in rows:
        return []
    rows = rows.dropna(subset="auroc")
    rows = rows.assign(hidden=rows["protocol"].str.removesuffix(" hidden"))
    head = f"**Area under the ROC curve of novelty** ({plural(rows['seed'].nunique())})\n\n"
    flagging = [n for n in FLAGGING if n in set(rows.dropna(subset="flagged")["method"])]
    return [
        head + _by_type(rows, "auroc", ordered(rows["method"], [NEW])),
        "**Share of hidden cells flagged / of known cells kept**\n\n"
        + _by_type(rows, "flagged", flagging, beside="kept"),
    ]


def _by_type(rows: pd.DataFrame, field: str, names: list[str], beside: str = "") -> str:
    """A line for each hidden type and direction, a column for each method, means below."""
    grouped = rows.groupby(["hidden", "setting", "method"])
    mean, spread, second = (
        of.unstack().reindex(columns=names)
        for of in (grouped[field].mean(), grouped[field].std(), grouped[beside or field].mean())
    )
    lines = []
    for key, values in mean.iterrows():
        line = list(key)
        for name in names:
            text = number(values[name], spread.loc[key, name], 3)
            if beside and text:
                text = f"{values[name]:.2f} / {second.loc[key, name]:.2f}"
            elif text and f"{values[name]:.3f}" == f"{values.max():.3f}":
                text = f"**{text}**"
            line.append(text)
        lines.append(line)
    overall = ["mean", ""]
    for name in names:  # over what all have, so that none is spared a hard type
        n, found = mean[name].notna().sum(), mean[name].mean()
        both = f"{found:.2f} / {second[name].mean():.2f}" if beside else f"{found:.3f}"
        overall.append(both if n == len(mean) else f"{n} of {len(mean)}")
    return markdown(["hidden", "labels from", *names], [*lines, overall], n_words=2)


def _damage(results: Results) -> list[str]:
    """A table for each kind of damage, with what the same methods reach without."""
    rows, recall = results.rows("transfer"), results.values("transfer", metric="recall")
    parts, keys = [], ["method", "seed"]
    for change in sorted(p for p in rows["protocol"].unique() if "rarer" in p or "wrong" in p):
        rare = change.removesuffix(" five times rarer") if "rarer" in change else ""
        fields = ["accuracy", "balanced_accuracy", "rare" if rare else "ece"]
        of_rare = recall[recall["group"] == rare].set_index(KEYS)["value"]
        both = rows.join(of_rare.rename("rare"), on=KEYS)
        part = both[both["protocol"] == change]
        whole = both[(both["protocol"] == "as they are") & both["data"].isin(part["data"])]
        whole = whole[whole["method"].isin(part["method"])]
        # Means over the directions.
        before = whole.groupby(keys)[fields].mean().add_suffix(" before")
        table = before.join(part.groupby(keys)[fields].mean(), how="right").reset_index()
        # One seed without damage stands for all of a method without chance.
        for name, first in before.groupby("method").first().items():
            table[name] = table[name].fillna(table["method"].map(first))
        names = ("accuracy", "balanced accuracy", f"recall of {rare}" if rare else "ECE")
        shown = []
        for field, title in zip(fields, names, strict=True):
            shown.append(Column(f"{field} before", f"{title} before", 3))
            shown.append(Column(field, "after", 3, -1 if field == "ece" else 1))
        parts.append(blocks(table.assign(title=change), shown))
    return parts


# -- SCARE ----------------------------------------------------------------------------------------


def _disjoint(results: Results) -> list[str]:
    """The score of each set in each block."""
    rows, parts = results.rows("scare", protocol="disjoint"), []
    own = results.values("scare", protocol="disjoint")
    own = own[own["group"] != ""]
    for name, part in rows.groupby("data"):
        title = TITLES.get(str(name), name)
        sizes = own[own["metric"] == "n_genes"].groupby("group")["value"].first().astype(int)
        lines = []
        for (method, block), found in own[own["metric"] == "fssf"].groupby(["method", "group"]):
            apart = method.endswith("disjoint")
            if apart or block == sizes.index[0]:
                of = found.groupby("at")["value"]
                numbers = [number(of.mean()[n], of.std()[n], 3) for n in sizes.index]
                lines.append([method, f"those of {block}" if apart else "all", *numbers])
        head = ["method", "latent dimensions", *(f"FSSF of {name}" for name in sizes.index)]
        genes = ", ".join(f"{n} genes of {name}" for name, n in sizes.items())
        parts.append(f"**{title}: {genes}** ({plural(part['seed'].nunique())})\n")
        parts += [markdown(head, lines, 2), mean_table(part, "method", columns("weights")[1:3])]
    return parts


OTHERS = {
    "curves_leaders": _leaders,
    "transfer_others": _others,
    "transfer_novelty": _novelty,
    "transfer_damage": _damage,
    "scare_disjoint": _disjoint,
}


def environment(found: dict[str, dict[str, Any]]) -> str:
    """What the numbers were made with; experiments that differ have a line of their own."""
    lines: dict[str, list[str]] = {}
    for name, on in found.items():
        packages = ", ".join(f"{k} {v}" for k, v in on["packages"].items())
        line = f"Python {on['python']}, {on['system']}, {on['cpus']} CPUs; {packages}"
        lines.setdefault(line, []).append(name)
    return "".join(f"- {', '.join(names)}: {line}\n" for line, names in lines.items())
