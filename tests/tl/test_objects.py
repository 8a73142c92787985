"""All kinds of AnnData and modalities of MuData are accepted; other objects raise errors."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from mudata import MuData
from scipy import sparse

import ace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData

QUIET = {"enable_progress_bar": False}
pytestmark = [
    pytest.mark.filterwarnings("ignore:the scorer assigns only"),
    pytest.mark.filterwarnings("ignore:there are only .* pairs"),
    # mudata warns that its defaults will change.
    pytest.mark.filterwarnings("ignore:From 0.4"),
]


@pytest.fixture(scope="module")
def _rna() -> AnnData:
    adata = ace.datasets.pbmc68k_reduced()
    adata = adata[adata.obs["louvain"].isin(["0", "1", "2"]), :150].copy()
    adata.obs["known"] = adata.obs["louvain"].where(np.arange(adata.n_obs) % 2 > 0)
    return adata


@pytest.fixture
def rna(_rna: AnnData) -> AnnData:
    return _rna.copy()


@pytest.fixture(scope="module")
def model(_rna: AnnData) -> ace.model.KRATOS:
    return kratos(_rna.copy())


def kratos(adata: AnnData | MuData) -> ace.model.KRATOS:
    if isinstance(adata, MuData):
        ace.model.KRATOS.setup_mudata(
            adata, "louvain", modalities={"layer": "rna", "labels_key": "rna"}
        )
    else:
        ace.model.KRATOS.setup_anndata(adata, "louvain")
    model = ace.model.KRATOS(adata, n_hidden=(16, 8), random_state=0)
    model.train(max_epochs=3, early_stopping=False, **QUIET)
    return model


#: Functions of ``tl``, with their arguments after the cells.
CALLS: dict[str, Callable[..., Any]] = {
    "explain": lambda adata, _, **kw: ace.tl.explain(adata, "louvain", n_cells=30, **kw),
    "explain by a model": lambda adata, model, **kw: ace.tl.explain(
        adata, "louvain", model=model, n_cells=30, **kw
    ),
    "rank_specificity": lambda adata, _, **kw: ace.tl.rank_specificity(adata, "louvain", **kw),
    "informative_genes": lambda adata, _, **kw: ace.tl.informative_genes(adata, "louvain", **kw),
    "annotate": lambda adata, _, **kw: ace.tl.annotate(
        adata, "known", max_epochs=1, validation_size=0.3, **kw
    ),
    "fssf": lambda adata, model, **kw: ace.tl.fssf(
        adata, "louvain", ["HES4", "TNFRSF4"], model=model, subclusters="phase", n_random=2, **kw
    ),
}
USING: dict[str, Callable[..., Any]] = {
    "explain_df": lambda adata, _: ace.get.explain_df(adata),
    "annotation_df": lambda adata, _: ace.get.annotation_df(adata),
    "diagnostics_df": lambda adata, _: ace.get.diagnostics_df(adata),
    "fssf_df": lambda adata, _: ace.get.fssf_df(adata),
    "pairs_df": lambda adata, _: ace.get.pairs_df(adata),
    "heatmap": lambda adata, _: ace.pl.heatmap(adata),
    "panels": lambda adata, _: ace.pl.panels(adata),
    "pairs": lambda adata, _: ace.pl.pairs(adata),
    "confusion": lambda adata, _: ace.pl.confusion(adata, "louvain"),
    "confidence": lambda adata, _: ace.pl.confidence(adata),
    "pl.fssf": lambda adata, _: ace.pl.fssf(adata),
    "polarization": lambda adata, _: ace.pl.polarization(adata, "0"),
    "diagnostics": lambda adata, _: ace.pl.diagnostics(adata),
    "reliability": lambda adata, _: ace.pl.reliability(adata),
}
MODELS: dict[str, Callable[..., Any]] = {
    "setup_anndata": lambda adata, _: ace.model.KRATOS.setup_anndata(adata, "louvain"),
    "SCARE.setup_anndata": lambda adata, _: ace.model.SCARE.setup_anndata(adata, layer="counts"),
    "model": lambda adata, _: ace.model.KRATOS(adata),
    "predict": lambda adata, model: model.predict(adata),
    "evaluate": lambda adata, model: model.evaluate(adata),
    "latent": lambda adata, model: model.get_latent_representation(adata),
}


def state(adata: AnnData) -> tuple[Any, ...]:
    """Everything that a call may change."""
    return (
        adata.obs.copy(),
        adata.var.copy(),
        {place: set(getattr(adata, place)) for place in ("uns", "obsm", "varm", "layers")},
    )


def assert_unchanged(adata: AnnData, before: tuple[Any, ...]) -> None:
    obs, var, keys = before
    pd.testing.assert_frame_equal(adata.obs, obs)
    pd.testing.assert_frame_equal(adata.var, var)
    assert {place: set(getattr(adata, place)) for place in keys} == keys


@pytest.mark.parametrize("name", [*CALLS, *USING, *MODELS])
def test_other_objects(name: str, model: Any, rna: AnnData, tmp_path: Path) -> None:
    call = (CALLS | USING | MODELS)[name]
    path = tmp_path / "cells.h5ad"
    path.touch()
    rna.raw = rna
    wrong: dict[str, Any] = {
        r"path.*read_h5ad\('.*cells.h5ad'\)": str(path),
        r"path.*read_h5mu": tmp_path / "cells.h5mu",
        "the column of obs as groupby='louvain'": "louvain",
        "got DataFrame": rna.to_df(),
        r"raw\.to_adata\(\)": rna.raw,
        "got list": [rna],
    }
    if name not in ("predict", "evaluate", "latent", "model"):  # the model's own cells
        wrong["got None"] = None
    for match, value in wrong.items():
        if name == "reliability" and match == "got DataFrame":
            continue
        with pytest.raises(TypeError, match=match):
            call(value, model)


@pytest.mark.parametrize("name", [*CALLS, *MODELS])
def test_views_of_files_are_an_error(
    name: str, model: Any, rna: AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rna.write_h5ad(tmp_path / "cells.h5ad")
    view = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")[:300]
    before = state(view)
    for module in ("ace._matrix", "ace.tl._explain", "ace.model.base._reader"):
        for read in ("read_rows", "summarise"):
            monkeypatch.setattr(f"{module}.{read}", _no_work, raising=False)
    with pytest.raises(ValueError, match=r"view of an AnnData on disk.*to_memory\(\)"):
        (CALLS | MODELS)[name](view, model)
    assert_unchanged(view, before)


def _no_work(*_: Any, **__: Any) -> None:
    raise AssertionError("the matrix was read")


@pytest.fixture(scope="module")
def zarr(_rna: AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zarr") / "cells.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the version of Zarr
        _rna.write_zarr(path)
    return path


@pytest.mark.parametrize("name", [*CALLS, *USING, *MODELS])
@pytest.mark.filterwarnings("ignore")
def test_lazy_data_are_an_error(name: str, model: Any, zarr: Path) -> None:
    pytest.importorskip("xarray")
    lazy = ad.experimental.read_lazy(zarr)
    with pytest.raises(ValueError, match=r"read_lazy.*to_memory\(\)"):
        (CALLS | USING | MODELS)[name](lazy, model)


@pytest.mark.parametrize("name", CALLS)
def test_files_are_read_and_written(name: str, model: Any, rna: AnnData, tmp_path: Path) -> None:
    rna.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    CALLS[name](backed, model)
    CALLS[name](rna, model)
    assert_same(backed, rna)


def assert_same(one: AnnData, other: AnnData) -> None:
    """Results are equal, in memory and on disk."""
    assert set(one.uns) == set(other.uns)
    for key in {"ace", "rank_specificity"} & set(one.uns):
        for record in ("names", "scores"):
            np.testing.assert_array_equal(one.uns[key][record], other.uns[key][record])
        assert one.uns[key]["params"] == other.uns[key]["params"]
    if "informative_genes" in one.uns:
        pd.testing.assert_frame_equal(
            one.uns["informative_genes"]["scores"], other.uns["informative_genes"]["scores"]
        )
    if "scnym" in one.uns:
        assert list(one.obs["scnym"]) == list(other.obs["scnym"])
    if "fssf" in one.uns:
        pd.testing.assert_frame_equal(one.uns["fssf"]["pairs"], other.uns["fssf"]["pairs"])


# -- MuData ----------------------------------------------------------------------------------


def mudata_of(rna: AnnData, where: str = "modality") -> MuData:
    """MuData with a second modality of fewer cells; columns in the modality or the MuData."""
    rng = np.random.default_rng(0)
    protein = ad.AnnData(
        sparse.csr_matrix(rng.random((rna.n_obs // 2, 5), dtype=np.float32)),
        obs=pd.DataFrame(index=rna.obs_names[::2][: rna.n_obs // 2][::-1]),
        var=pd.DataFrame(index=[f"P{i}" for i in range(5)]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdata = MuData({"protein": protein, "rna": rna.copy()})
        if where == "modality":
            return mdata
        columns = ["louvain", "phase", "known"]
        own = mdata.mod["rna"].obs[columns].loc[mdata.obs_names]
        prefix = "rna:" if where == "prefixed" else ""
        for column in mdata.obs.columns:
            del mdata.obs[column]
        for column in columns:
            mdata.obs[f"{prefix}{column}"] = own[column]
            if where == "whole":
                del mdata.mod["rna"].obs[column]
    return mdata


@pytest.mark.parametrize("where", ["modality", "whole"])
@pytest.mark.parametrize("name", CALLS)
def test_a_modality_is_read_and_written(name: str, where: str, model: Any, rna: AnnData) -> None:
    mdata = mudata_of(rna, where)
    assert not mdata.obs_names.equals(rna.obs_names)
    before, whole = state(mdata.mod["protein"]), (mdata.obs.copy(), set(mdata.uns))
    columns = list(mdata.mod["rna"].obs)
    CALLS[name](mdata, model, modality="rna")
    CALLS[name](rna, model)
    assert_same(mdata.mod["rna"], rna)
    assert_unchanged(mdata.mod["protein"], before)
    pd.testing.assert_frame_equal(mdata.obs, whole[0])
    assert set(mdata.uns) == whole[1]
    assert list(mdata.mod["rna"].obs)[: len(columns)] == columns


def test_prefixed_copies_of_columns(rna: AnnData) -> None:
    mdata = mudata_of(rna, "prefixed")
    ace.tl.explain(mdata, "rna:louvain", modality="rna", n_cells=30)
    assert mdata.mod["rna"].uns["ace"]["params"]["groupby"] == "louvain"
    assert ace.pl.heatmap(mdata.mod["rna"], show=False) is not None
    # A changed copy is another column.
    mdata.obs["rna:louvain"] = mdata.obs["rna:louvain"].cat.rename_categories({"0": "zero"})
    ace.tl.explain(mdata, "rna:louvain", modality="rna", n_cells=30)
    assert mdata.mod["rna"].uns["ace"]["names"].dtype.names == ("zero", "1", "2")


def test_copy_of_mudata(rna: AnnData) -> None:
    mdata = mudata_of(rna)
    for call in (ace.tl.explain, ace.tl.rank_specificity):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = call(mdata, "louvain", modality="rna", copy=True, key_added="panels")
        assert isinstance(other, MuData)
        assert "panels" in other.mod["rna"].uns
        assert "panels" not in mdata.mod["rna"].uns


def _paired(rna: AnnData) -> MuData:
    protein = ad.AnnData(
        np.ones((rna.n_obs, 2), np.float32), obs=pd.DataFrame(index=rna.obs_names)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MuData({"rna": rna.copy(), "protein": protein})


def test_model_of_mudata_stores_its_modality(model: Any, rna: AnnData) -> None:
    mdata = _paired(rna)
    own = kratos(mdata)
    ace.tl.explain(mdata, "louvain", model=own, n_cells=30)
    ace.tl.explain(rna, "louvain", model=model, n_cells=30)
    assert_same_panels(mdata.mod["rna"], rna)
    query = mudata_of(rna[::3].copy())
    np.testing.assert_array_equal(own.predict(query), model.predict(rna[::3].copy()))
    labels = own.evaluate(query)["confusion"]
    pd.testing.assert_frame_equal(labels, model.evaluate(rna[::3].copy())["confusion"])


def assert_same_panels(one: AnnData, other: AnnData) -> None:
    np.testing.assert_array_equal(one.uns["ace"]["names"], other.uns["ace"]["names"])


def test_labels_of_the_mudata_are_matched_by_cell(rna: AnnData) -> None:
    mdata = _paired(rna)
    mdata.obs["cell_type"] = rna.obs["louvain"]
    ace.model.KRATOS.setup_mudata(mdata, "cell_type", modalities={"layer": "rna"})
    own = ace.model.KRATOS(mdata, n_hidden=(16, 8), random_state=0)
    own.train(max_epochs=3, early_stopping=False, **QUIET)
    query = mudata_of(rna)  # in another order
    query.obs["cell_type"] = rna.obs["louvain"].loc[query.obs_names]
    assert own.evaluate(query)["accuracy"] == own.evaluate(mdata)["accuracy"]


def test_models_require_modalities_with_the_same_cells(rna: AnnData) -> None:
    mdata = mudata_of(rna)
    before = state(mdata.mod["rna"])
    with pytest.raises(ValueError, match=r"'rna' does not hold all cells.*in the same order"):
        kratos(mdata)
    assert_unchanged(mdata.mod["rna"], before)
    with pytest.raises(TypeError, match="setup_anndata"):
        ace.model.KRATOS.setup_mudata(rna, "louvain", modalities={"layer": "rna"})


@pytest.mark.parametrize("name", CALLS)
def test_errors_about_modalities(name: str, model: Any, rna: AnnData) -> None:
    mdata = mudata_of(rna)
    before = state(mdata.mod["rna"])
    for wrong in (None, "atac"):
        with pytest.raises(ValueError, match=r"modality=\.\.\., one of \['protein', 'rna'\]"):
            CALLS[name](mdata, model, modality=wrong)
    with pytest.raises(ValueError, match=r"modality='rna' chooses.*leave modality out"):
        CALLS[name](rna, model, modality="rna")
    assert_unchanged(mdata.mod["rna"], before)


@pytest.mark.parametrize("name", [*USING, "setup_anndata"])
def test_mudata_instead_of_a_modality(name: str, model: Any, rna: AnnData) -> None:
    with pytest.raises(TypeError, match=r"MuData with the modalities.*mdata\.mod\['protein'\]"):
        (USING | MODELS)[name](mudata_of(rna), model)


def test_reference_may_be_mudata(rna: AnnData) -> None:
    query, atlas = rna[::2].copy(), rna[1::2].copy()
    expected = query.copy()
    options = {"max_epochs": 1, "validation_size": 0.3}
    ace.tl.annotate(expected, "louvain", reference=atlas, **options)
    ace.tl.annotate(query, "louvain", reference=mudata_of(atlas), modality="rna", **options)
    assert list(query.obs["scnym"]) == list(expected.obs["scnym"])
    both = mudata_of(rna[::2].copy())
    ace.tl.annotate(both, "louvain", reference=mudata_of(atlas), modality="rna", **options)
    assert list(both.mod["rna"].obs["scnym"]) == list(expected.obs["scnym"])


@pytest.mark.filterwarnings("ignore:the scorer assigns only")  # of so few epochs
def test_scare_of_mudata_is_explained(rna: AnnData) -> None:
    mdata = _paired(rna)
    ace.model.SCARE.setup_mudata(mdata, modalities={"layer": "rna"}, layer="counts")
    scare = ace.model.SCARE(mdata, n_hidden=8, n_latent=4, ground_truth=list(rna.var_names[:9]))
    scare.train(max_epochs=1, **QUIET)
    ace.tl.explain(mdata, "louvain", model=scare)
    alone = rna.copy()
    ace.tl.explain(alone, "louvain", model=scare)
    pd.testing.assert_frame_equal(
        mdata.mod["rna"].varm["ace_scores"], alone.varm["ace_scores"], check_exact=True
    )
