"""What the documentation shows of transfer.json and transfer_speed.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from _tables import Column, mean_table, number, seeds

if TYPE_CHECKING:
    import pandas as pd

#: Data sets with a table for each direction, and those with one for all together.
FIRST = "kang"
TITLES = {
    "kang": "Kang, blood cells without (CTRL) and with interferon (STIM), 9 types",
    "pbmc_symphony": "Blood cells by three chemistries of 10x, 9 types",
    "cellmix": "Three cell lines by three technologies",
    "pbmc68k": "PBMC68k, 700 cells bundled with scanpy, random halves",
}
OURS = "SCNYM"
PUBLISHED = f"{OURS}, published"
NEW = f"{OURS}, new_identity"
ITS_OWN = "scNym, its own code"
#: Those of the tables of flags, where AUROC has all.
FLAGGING = (
    *(NEW, "logistic regression", "logistic regression, variable genes"),
    *(f"{ITS_OWN}, for new types", f"{OURS}, published, for new types"),
)
FULL = (
    Column("accuracy", "accuracy", 3, 1),
    Column("balanced_accuracy", "balanced accuracy", 3, 1),
    Column("macro_f1", "macro F1", 3, 1),
    Column("ece", "ECE", 3, -1),
)
EPOCH = (
    Column("ms_scnym", "ours, ms an epoch", 0),
    Column("ms_bare", "loop over dense tensors", 0),
    Column("ms_sparse", "loop over sparse rows", 0),
    Column("ratio", "ours / dense loop", 2),
    Column("ratio_sparse", "ours / sparse loop", 2),
)
TASK = (Column("seconds", "seconds", 1, -1), Column("accuracy", "accuracy", 3, 1))
MEMORY = (
    Column("n_labelled", "labelled", 0),
    Column("n_unlabelled", "unlabelled", 0),
    Column("n_genes", "genes", 0),
    Column("matrix_mb", "matrix, MB", 0),
    Column("peak_mb", "peak above it, MB", 0),
    Column("seconds", "seconds", 0),
)


def tables(rows: pd.DataFrame, speed: pd.DataFrame) -> dict[str, str]:
    """Give markdown by name; empty where nothing was measured."""
    of = {
        name: rows[rows["comparison"] == name] if len(rows) else rows
        for name in ("transfer", "novelty", "damage")
    }
    return {
        "transfer": _directions(of["transfer"], presets=False),
        "transfer_parts": _directions(of["transfer"], presets=True),
        "transfer_others": _others(of["transfer"]),
        "transfer_novelty": _novelty(of["novelty"]),
        "transfer_damage": _damage(of["damage"], of["transfer"]),
        "transfer_speed": _speed(speed),
    }


def _directions(rows: pd.DataFrame, *, presets: bool) -> str:
    """A table for each direction of the first set: of what is compared, or of our presets."""
    parts = []
    if len(rows):
        named = rows["method"]
        ours = named.str.startswith(f"{OURS},")
        kept = named.str.startswith(OURS) if presets else ~ours | (named == PUBLISHED)
        rows = rows[(rows["data"] == FIRST) & kept]
    for source, part in rows.groupby("source") if len(rows) else []:
        other = "STIM" if source == "CTRL" else "CTRL"
        said = " (defaults were chosen here)" if source == "CTRL" else ""
        title = f"**{source} → {other}**{said} {seeds(part)}"
        parts.append(f"{title}\n\n{mean_table(part, 'method', FULL)}")
    return "\n".join(parts)


def _others(rows: pd.DataFrame) -> str:
    """A table for each other set: accuracy from each domain, and means."""
    parts = []
    for data, part in rows[rows["data"] != FIRST].groupby("data") if len(rows) else []:
        sources = list(dict.fromkeys(part["source"]))
        keys = ["method", "seed"]
        wide = part.pivot_table(index=keys, columns="source", values="accuracy")
        means = part.groupby(keys)[_there(part, ["accuracy", "balanced_accuracy", "ece"])].mean()
        complete = wide.notna().all(axis=1)  # a mean of fewer domains is no mean
        table = wide.join(means[complete.to_numpy()]).reset_index()
        columns = (
            *(Column(s, f"from {s}", 3, 1) for s in sources),
            Column("accuracy", "mean", 3, 1),
            Column("balanced_accuracy", "balanced accuracy, mean", 3, 1),
            Column("ece", "ECE, mean", 3, -1),
        )
        title = f"**{TITLES.get(str(data), data)}** {seeds(part)}"
        parts.append(f"{title}\n\n{mean_table(table, 'method', columns)}")
    return "\n".join(parts)


def _novelty(rows: pd.DataFrame) -> str:
    """AUROC of all methods for each hidden type, and what some of them flag."""
    if not len(rows) or "auroc" not in rows:
        return ""
    rows = rows[rows["auroc"].notna()].assign(
        hidden=lambda r: r["change"].str.removesuffix(" hidden"),
    )
    if rows["data"].nunique() > 1:  # a bundled set stands in where there is no other
        rows = rows[rows["data"] == FIRST]
    names = [NEW, *sorted(set(rows["method"]) - {NEW})]
    names = [name for name in names if (rows["method"] == name).any()]
    text = f"**Area under the ROC curve of novelty** {seeds(rows)}\n\n"
    text += _by_type(rows, "auroc", names, best=True)
    flagging = [name for name in FLAGGING if name in names and "flagged" in rows]
    flagging = [n for n in flagging if rows.loc[rows["method"] == n, "flagged"].notna().any()]
    if flagging:
        text += "\n**Share of hidden cells flagged / of known cells kept**\n\n"
        text += _by_type(rows, "flagged", flagging, beside="kept")
    return text


def _by_type(
    rows: pd.DataFrame, field: str, names: list[str], *, best: bool = False, beside: str = ""
) -> str:
    """A line for each hidden type and direction, a column for each method, means below."""
    fields = [field, beside] if beside else [field]
    mean = rows.groupby(["hidden", "source", "method"])[fields].mean()
    spread = rows.groupby(["hidden", "source", "method"])[field].std()
    lines = [["hidden", "labels from", *names], ["---", "---", *("---:" for _ in names)]]
    keys = sorted(set(zip(rows["hidden"], rows["source"], strict=True)))
    for hidden, source in keys:
        values = {
            n: mean.loc[(hidden, source, n)] for n in names if (hidden, source, n) in mean.index
        }
        line = [hidden, source]
        for name in names:
            if name not in values:
                line.append("")
                continue
            text = number(values[name][field], spread[(hidden, source, name)], 3)
            if beside:
                text = f"{values[name][field]:.2f} / {values[name][beside]:.2f}"
            top = max(v[field] for v in values.values())
            same = f"{values[name][field]:.3f}" == f"{top:.3f}"
            line.append(f"**{text}**" if best and same else text)
        lines.append(line)
    # Means over what all have, so that none is spared a hard type.
    overall = ["mean", ""]
    for name in names:
        own = mean.xs(name, level="method")
        if len(own) < len(keys):
            overall.append(f"{len(own)} of {len(keys)}")
        elif beside:
            overall.append(f"{own[field].mean():.2f} / {own[beside].mean():.2f}")
        else:
            overall.append(f"{own[field].mean():.3f}")
    lines.append(overall)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _damage(rows: pd.DataFrame, whole: pd.DataFrame) -> str:
    """A table for each kind of damage, with what the same methods reach without."""
    parts = []
    for change, part in rows.groupby("change", sort=True) if len(rows) else []:
        rare = str(change).removesuffix(" five times rarer") if "rarer" in str(change) else None
        before = _both(whole[whole["data"].isin(part["data"])], part["method"], rare)
        after = _both(part, part["method"], rare)
        table = before.add_suffix(" before").join(after, how="right").reset_index(level="method")
        # One seed without damage stands for all of a method without chance.
        first = before.groupby("method").first().add_suffix(" before")
        for name in first:
            table[name] = table[name].fillna(table["method"].map(first[name]))
        fields = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
        fields |= {"rare": f"recall of {rare}"} if rare else {"ece": "ECE"}
        columns = []
        for name, title in fields.items():
            best = -1 if name == "ece" else 1
            columns += [Column(f"{name} before", f"{title} before", 3)]
            columns += [Column(name, "after", 3, best)]
        title = f"**{change}** {seeds(part)}"
        parts.append(f"{title}\n\n{mean_table(table, 'method', tuple(columns))}")
    return "\n".join(parts)


def _both(rows: pd.DataFrame, methods: pd.Series, rare: str | None) -> pd.DataFrame:
    """Mean over the directions, for each method and seed."""
    rows = rows[rows["method"].isin(methods)]
    if rare:
        rows = rows.assign(rare=rows["recall"].map(lambda r: r.get(rare, np.nan)))
    fields = _there(rows, ["accuracy", "balanced_accuracy", "ece", "rare"])
    return rows.groupby(["method", "seed"])[fields].mean()


def _speed(rows: pd.DataFrame) -> str:
    parts = []
    of = dict(iter(rows.groupby("comparison"))) if len(rows) else {}
    if "epoch" in of:
        part = of["epoch"]
        table = mean_table(part.assign(matrix=part["subject"]), "matrix", EPOCH)
        parts.append(f"**An epoch, Kang CTRL → STIM, {_threads(part)}** {seeds(part)}\n\n{table}")
    if "task" in of:
        part = of["task"]
        title = f"**Training and prediction, {_threads(part)}** {seeds(part)}"
        named = part.assign(method=part["subject"] + ", labels from " + part["source"])
        seconds = part.groupby("subject")["seconds"].mean()
        text = f"{title}\n\n{mean_table(named, 'method', TASK)}"
        if {OURS, ITS_OWN} <= set(seconds.index):
            ratio = seconds[ITS_OWN] / seconds[OURS]
            text += f"\nscNym's own code takes {ratio:.0f} times as long.\n"
        parts.append(text)
    if "memory" in of:
        part = of["memory"]
        table = mean_table(part.assign(what=part["subject"]), "what", MEMORY)
        parts.append(f"**Memory, {part['density'].iloc[0]:.0%} non-zero**\n\n{table}")
    return "\n".join(parts)


def _threads(rows: pd.DataFrame) -> str:
    numbers = sorted({int(n) for n in rows["threads"]})
    return ", ".join("one thread" if n == 1 else f"{n} threads" for n in numbers)


def _there(rows: pd.DataFrame, fields: list[str]) -> list[str]:
    return [name for name in fields if name in rows and rows[name].notna().any()]
