"""Set-up of AnnData: what is written, errors, and copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

#: Columns of ``obs`` in which scvi-tools stores codes.
BOOKKEEPING = ("_scvi_labels", "_scvi_batch", "_scvi_domain_0")

if TYPE_CHECKING:
    from anndata import AnnData
    from tests.conformance.conftest import ModelCase


def test_only_scvi_fields_are_written(case: ModelCase, adata: AnnData) -> None:
    adata.X = np.asfortranarray(adata.X.toarray())  # scvi-tools would rewrite it
    before = adata.copy()
    matrix = adata.X
    model = case.trained(adata)
    assert adata.X is matrix
    assert set(adata.obs) - set(before.obs) <= set(BOOKKEEPING)
    pd.testing.assert_frame_equal(adata.obs[before.obs.columns], before.obs)
    assert set(adata.uns) - set(before.uns) == {"_scvi_uuid", "_scvi_manager_uuid"}
    assert model.adata is adata


def test_view_is_an_error(case: ModelCase, adata: AnnData) -> None:
    view = adata[:50]
    with pytest.raises(ValueError, match=r"view.*adata = adata\.copy\(\)"):
        case.cls.setup_anndata(view, **case.setup)
    assert view.is_view


def test_set_up_is_required(case: ModelCase, adata: AnnData) -> None:
    with pytest.raises(ValueError, match="setup_anndata"):
        case.cls(adata)


def test_copy_must_be_set_up_too(case: ModelCase, adata: AnnData) -> None:
    case.cls.setup_anndata(adata, **case.setup)
    with pytest.raises(ValueError, match=r"copy.*setup_anndata"):
        case.cls(adata.copy())


def test_setting_up_a_copy_does_not_change_the_original(case: ModelCase, adata: AnnData) -> None:
    case.cls.setup_anndata(adata, **case.setup)
    copied = adata.copy()
    case.cls.setup_anndata(copied, **case.setup)
    assert case.cls(adata, **case.init).adata is adata
    assert case.cls(copied, **case.init).adata is copied


@pytest.mark.parametrize("copy_first", [False, True])
def test_failed_setup_changes_nothing(case: ModelCase, adata: AnnData, copy_first: bool) -> None:
    if copy_first:
        case.cls.setup_anndata(adata, **case.setup)
        adata = adata.copy()
    before = adata.copy()
    for key in [k for k in case.setup if k.endswith("_key")]:
        with pytest.raises(KeyError, match="nowhere"):
            case.cls.setup_anndata(adata, **case.setup | {key: "nowhere"})
    with pytest.raises(KeyError, match="no layer 'nothing'"):
        case.cls.setup_anndata(adata, **case.setup | {"layer": "nothing"})
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert adata.uns.keys() == before.uns.keys()
    assert adata.uns.get("_scvi_uuid") == before.uns.get("_scvi_uuid")


def test_duplicate_gene_names_are_an_error(case: ModelCase, adata: AnnData) -> None:
    adata.var_names = [adata.var_names[1], *adata.var_names[1:]]
    with pytest.raises(ValueError, match="var_names_make_unique"):
        case.cls.setup_anndata(adata, **case.setup)


def test_counts_are_warned_about(case: ModelCase, adata: AnnData) -> None:
    if case.cls._expects_counts:
        pytest.skip("a model of counts")
    with pytest.warns(UserWarning, match=r"layers\['counts'\] holds counts") as caught:
        case.cls.setup_anndata(adata, **case.setup | {"layer": "counts"})
    assert "sc.pp.normalize_total(adata, target_sum=1e4)\n" in str(caught[0].message)
    assert "sc.pp.log1p(adata)" in str(caught[0].message)


def test_model_stores_its_genes_and_layer(case: ModelCase, adata: AnnData) -> None:
    model = case.new(adata)
    np.testing.assert_array_equal(model.var_names, adata.var_names)
    assert model.input_layer is case.setup.get("layer")


def test_summary_contains_the_model_name(case: ModelCase, adata: AnnData) -> None:
    assert case.name in case.new(adata).summary_string
    assert "Not Trained" in case.new(adata).summary_string


@pytest.mark.parametrize("trained", [False, True])
def test_no_property_raises(case: ModelCase, adata: AnnData, trained: bool) -> None:
    model = case.trained(adata) if trained else case.new(adata)
    properties = [n for n in dir(type(model)) if isinstance(getattr(type(model), n), property)]
    assert {"history", "var_names", "input_layer"} <= set(properties)
    for name in properties:
        getattr(model, name)
