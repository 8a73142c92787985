"""Rankings that cannot be stored in scanpy's structure are stored as a table."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import ace
from ace._checks import _storable
from ace._keys import ExplanationKeys
from ace._ranking import RECORD_DTYPES, pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _tiny_data_may_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def cells(n_groups: int, name: str, n_genes: int = 6) -> ad.AnnData:
    """Two log-normalised cells of each group."""
    codes = np.repeat(np.arange(n_groups), 2)
    x = np.random.default_rng(0).exponential(size=(len(codes), n_genes)).astype(np.float32)
    names = [name.format(i) for i in range(n_groups)]
    obs = pd.DataFrame({"type": pd.Categorical.from_codes(codes, names)})
    obs.index = obs.index.astype(str)
    var = pd.DataFrame(index=[f"g{i}" for i in range(n_genes)])
    return ad.AnnData(np.log1p(x), obs=obs, var=var)


def in_both_forms(monkeypatch: pytest.MonkeyPatch, call: Any) -> tuple[ad.AnnData, ad.AnnData]:
    """Results of a call as records and as a table."""
    records = call()
    with monkeypatch.context() as patch:
        patch.setattr(_storable, "holds_records", lambda fields: False)
        table = call()
    assert records.uns["ace"]["params"].pop("stored_as") == "records"
    assert table.uns["ace"]["params"].pop("stored_as") == "table"
    return records, table


def test_eight_hundred_groups(survives_files, caplog) -> None:
    adata = cells(800, "Exc_L2_IT_cluster_{}")
    with caplog.at_level(logging.WARNING, logger="ace"):
        ace.tl.rank_specificity(adata, "type", n_genes=3, key_added="ace")
    assert "adata.uns['ace']['table'] has the ranking instead" in caplog.text
    df = ace.get.explain_df(adata)
    assert df["group"].cat.categories.tolist() == adata.obs["type"].cat.categories.tolist()
    # Equal to the result for this group alone.
    name = "Exc_L2_IT_cluster_321"
    ace.tl.rank_specificity(adata, "type", n_genes=3, groups=[name], key_added="one")
    alone = ace.get.explain_df(adata, key="one").drop(columns="group")
    found = df[df["group"] == name].drop(columns="group").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, alone)
    # Zarr is slow for 800 columns; it is tested with the pairs below.
    read = survives_files(adata, ["h5ad"])
    pd.testing.assert_frame_equal(ace.get.explain_df(read), df)


def test_pairs_of_28_groups(survives_files) -> None:
    adata = cells(28, "Exc_L2_IT_cluster_{}")
    ace.tl.explain(adata, "type", reference="each", n_genes=4, method="saliency")
    read = survives_files(adata, ["h5ad"])
    for found in (adata, read):
        df = ace.get.explain_df(found)
        assert len(df) == 28 * 27 * 4
        assert df["group"].cat.categories[-1] == "Exc_L2_IT_cluster_27 vs Exc_L2_IT_cluster_26"
        pairs = ace.get.pairs_df(found)
        assert len(pairs) == 28 * 27 / 2
        assert pairs["reference"].cat.categories.tolist() == list(adata.obs["type"].cat.categories)
        few, few_pairs = list(pairs["group"].cat.categories[:3]), list(df["group"].unique()[:2])
        assert ace.pl.pairs(found, groups=few, show=False) is not None
        assert len(ace.pl.panels(found, groups=few_pairs, show=False)) == 2
    assert read.varm.pop("ace_scores").shape == (6, 756)  # Zarr is slow for 756 columns
    survives_files(read, ["zarr"])


@pytest.mark.parametrize("reference", ["rest", "t0", "each"])
def test_both_forms_are_equivalent(monkeypatch, reference) -> None:
    def call() -> ad.AnnData:
        adata = cells(4, "t{}")
        ace.tl.explain(adata, "type", reference=reference)
        adata.uns["ace"]["diagnostics"]["seconds"] = 0.0
        return adata

    records, table = in_both_forms(monkeypatch, call)
    assert set(table.uns["ace"]) == {"params", "table", "diagnostics", "quality", "rules"}
    frames = [ace.get.explain_df, ace.get.diagnostics_df]
    for get in frames + [ace.get.pairs_df] * (reference == "each"):
        pd.testing.assert_frame_equal(get(records), get(table))
    plots = [ace.pl.panels, ace.pl.heatmap, ace.pl.diagnostics]
    for draw in plots + [ace.pl.pairs] * (reference == "each"):
        images = []
        for adata in (records, table):
            fig = draw(adata, return_fig=True, show=False)
            fig.canvas.draw()
            images.append(np.asarray(fig.canvas.buffer_rgba()))
        np.testing.assert_array_equal(*images)


def test_leading_genes(monkeypatch) -> None:
    adata = cells(3, "t{}", n_genes=12)
    ace.tl.explain(adata, "type", reference="each")
    every, pairs = ace.get.explain_df(adata), ace.get.pairs_df(adata, n_genes=4)
    scores = adata.varm["ace_scores"].copy()
    ace.tl.explain(adata, "type", reference="each", n_genes=np.int64(4))
    assert len(adata.uns["ace"]["names"]) == 4
    first = every[every["rank"] <= 4].reset_index(drop=True)
    pd.testing.assert_frame_equal(ace.get.explain_df(adata), first)
    pd.testing.assert_frame_equal(adata.varm["ace_scores"], scores)
    # The correlation is still over all genes.
    pd.testing.assert_frame_equal(ace.get.pairs_df(adata, n_genes=4), pairs)
    assert ace.pl.heatmap(adata, show=False) is not None
    theirs = sc.get.rank_genes_groups_df(adata, "t0 vs t1", key="ace")
    assert list(theirs["names"]) == list(first["gene"][:4])


def test_names_are_shared() -> None:
    adata = cells(5, "t{}")
    ace.tl.explain(adata, "type")
    names = adata.uns["ace"]["names"]
    assert len({id(gene) for field in names.dtype.names for gene in names[field]}) == adata.n_vars


@pytest.mark.parametrize("length", [1, 7, 8, 20, 51, 200])
def test_limit_of_records_is_that_of_hdf5(tmp_path: Path, length: int) -> None:
    """The largest permitted number of fields can be written, and not many more."""

    def names(n: int) -> list[str]:
        return [f"{i:0{length}d}" if length > 4 else chr(0x100 + i)[:1] for i in range(n)]

    n = next(n for n in range(100, 2000) if not _storable.holds_records(names(n + 1)))
    for factor, held in ((1, True), (1.06, False)):
        fields = names(int(n * factor))
        records = {name: {f: np.zeros(1, "O") for f in fields} for name in RECORD_DTYPES}
        records["names"] = {f: np.array(["g"], dtype=object) for f in fields}
        records["against"] = records["names"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_storable, "holds_records", lambda fields: True)
            stored = ad.AnnData(np.zeros((1, 1), np.float32), uns=pack(records))
        if held:
            stored.write_h5ad(tmp_path / "x.h5ad")
        else:
            with pytest.raises(ValueError, match="object header message is too large"):
                stored.write_h5ad(tmp_path / "x.h5ad")


def test_more_groups_than_a_frame_has_columns(survives_files) -> None:
    fields = [f"{i}" for i in range(4100)]
    adata = cells(2, "t{}", n_genes=3)
    records: dict[str, Any] = {
        name: {f: np.zeros(2, dtype) for f in fields} for name, dtype in RECORD_DTYPES.items()
    }
    records["names"] = {f: np.array(["g1", "g0"], dtype=object) for f in fields}
    records["against"] = records["names"]
    scores = pd.DataFrame(
        np.arange(3 * 4100.0).reshape(3, 4100), index=adata.var_names, columns=fields
    )
    diagnostics = pd.DataFrame({"seconds": 0.0}, index=fields)
    ExplanationKeys().write(
        adata,
        params={"groupby": "type", "reference": "rest"},
        records=records,
        scores=scores,
        frames={"diagnostics": diagnostics},
    )
    read = survives_files(adata)
    np.testing.assert_array_equal(read.varm["ace_scores"], scores.to_numpy(np.float32))
    assert ace.get.explain_df(read, "4099")["gene"].tolist() == ["g1", "g0"]


def test_metrics_take_the_table(monkeypatch) -> None:
    def call() -> ad.AnnData:
        adata = cells(3, "t{}")
        ace.tl.explain(adata, "type", groups=["t2", "t0"])
        return adata

    records, table = in_both_forms(monkeypatch, call)
    other = {group: list(records.var_names) for group in ("t0", "t2")}
    pd.testing.assert_frame_equal(
        ace.metrics.panel_overlap(
            {"ace": records.uns["ace"]["names"], "other": other}, group="t2"
        ),
        ace.metrics.panel_overlap({"ace": table.uns["ace"]["table"], "other": other}, group="t2"),
    )
