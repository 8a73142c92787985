"""Files of a saved model, invalid files, and interrupted saving."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import mudata
import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData
from safetensors import safe_open
from safetensors.torch import save_file
from scipy import sparse

from ace.model import KRATOS, SCARE
from ace.model.saving import _model_file as model_file

if TYPE_CHECKING:
    from pathlib import Path

QUIET = {"enable_progress_bar": False, "accelerator": "cpu", "max_epochs": 1}


def _cells(types: list[Any] | None = None) -> AnnData:
    rng = np.random.default_rng(0)
    codes = np.arange(60) % 2
    x = rng.random((60, 8)) + codes[:, None]
    return AnnData(
        sparse.csr_matrix(x.astype(np.float32)),
        obs=pd.DataFrame(
            {"type": pd.Categorical([(types or ["a", "b"])[c] for c in codes])},
            index=[f"c{i}" for i in range(60)],
        ),
        var=pd.DataFrame(index=[f"g{i}" for i in range(8)]),
    )


def _kratos(adata: AnnData, **init: Any) -> KRATOS:
    KRATOS.setup_anndata(adata, "type")
    model = KRATOS(adata, **{"n_hidden": (4,), "random_state": 0} | init)
    model.train(**QUIET)
    return model


@pytest.fixture(scope="module")
def _trained() -> KRATOS:
    return _kratos(_cells())


@pytest.fixture
def model(_trained: KRATOS) -> KRATOS:
    return _trained


@pytest.fixture
def folder(model: KRATOS, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


def _load(folder: Path, **kwargs: Any) -> KRATOS:
    return KRATOS.load(folder, adata=False, **kwargs)


def _rewrite(folder: Path, change: Any) -> None:
    """Modify the document of a saved model, as if written by another version."""
    saved = model_file.from_file(folder / "model.safetensors")
    change(saved)
    (folder / "model.safetensors").write_bytes(model_file.to_file(saved))


# -- the file ----------------------------------------------------------------------------------


def test_everything_but_the_arrays_is_json(folder: Path) -> None:
    with safe_open(folder / "model.safetensors", framework="np") as file:
        document = json.loads(file.metadata()["ace"])
        names = set(file.keys())
    assert document["class"] == "KRATOS"
    assert document["attributes"]["registry_"]["setup_args"]["labels_key"] == "type"
    assert document["format_version"] == 2
    assert document["ace_version"]
    assert {"weights/classifier.weight", "arrays/train_indices_"} <= names
    assert b"ace.model" not in (folder / "model.safetensors").read_bytes()


def test_same_model_gives_the_same_file(model: KRATOS, folder: Path, tmp_path: Path) -> None:
    model.save(tmp_path / "again")
    again = (tmp_path / "again" / "model.safetensors").read_bytes()
    assert again == (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "types", [[3, 7], [0.5, 1.5], [True, False], ["", "b/c"], [pd.Timestamp("2020"), pd.NaT]]
)
def test_labels_keep_their_type(types: list[Any], tmp_path: Path) -> None:
    if pd.isna(types[1]):
        types = [types[0], pd.Timestamp("2021")]
    model = _kratos(_cells(types))
    model.save(tmp_path / "model")
    loaded = _load(tmp_path / "model")
    assert loaded.labels.tolist() == model.labels.tolist()
    assert [type(label) for label in loaded.labels] == [type(label) for label in model.labels]
    np.testing.assert_array_equal(loaded.predict(_cells()), model.predict(_cells()))


def test_newer_format_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "FORMAT_VERSION", 3)
    _rewrite(folder, lambda saved: None)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"format 3, written by version .*Update ace"):
        _load(folder)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_truncated_file_is_an_error(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="truncated or damaged"):
        _load(folder)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.999])
def test_changed_byte_is_an_error(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1
    path.write_bytes(content)
    # A byte near the beginning may belong to the key of the document.
    with pytest.raises(ValueError, match=r"damaged|not written by"):
        _load(folder)


def test_other_safetensors_files_are_an_error(folder: Path) -> None:
    save_file({"x": torch.ones(2)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"not written by the save\(\)"):
        _load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.weights.pop("classifier.bias"), "1 missing, such as 'classifier.bias'"),
        (lambda s: s.weights.update(more=torch.ones(1)), "1 unexpected, such as 'more'"),
        (lambda s: s.weights.update({"classifier.bias": torch.ones(5)}), r"the shape \(5,\)"),
        (lambda s: setattr(s, "class_name", "SCNYM"), "a model of the class SCNYM, not KRATOS"),
        (lambda s: s.attributes.pop("registry_"), "incomplete"),
        (lambda s: s.attributes.pop("init_params_"), "incomplete"),
        (lambda s: s.attributes.update({"train": 1}), "was not written by KRATOS"),
        (lambda s: s.attributes["registry_"].update(setup_method_name="train"), "was not written"),
    ],
)
def test_other_models_are_an_error_and_cells_are_unchanged(
    folder: Path, change: Any, message: str
) -> None:
    _rewrite(folder, change)
    adata = _cells()
    before = adata.copy()
    with pytest.raises(ValueError, match=message):
        KRATOS.load(folder, adata=adata)
    assert not adata.uns
    pd.testing.assert_frame_equal(adata.obs, before.obs)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(
    folder: Path, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(saved: Any) -> None:
        saved.weights["classifier.bias"][0] = value

    with pytest.raises(ValueError, match=r"'classifier.bias' of the model are NaN or infinite"):
        _rewrite(folder, spoil)
    monkeypatch.setattr(model_file, "require_finite", lambda weights: None)
    _rewrite(folder, spoil)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="NaN or infinite"):
        _load(folder)


def test_unsupported_values_are_an_error_and_nothing_is_written(
    model: KRATOS, tmp_path: Path
) -> None:
    model.note_ = object()
    try:
        with pytest.raises(TypeError, match="note_ cannot be saved"):
            model.save(tmp_path / "model")
    finally:
        del model.note_
    assert not (tmp_path / "model").exists()


# -- pickles -----------------------------------------------------------------------------------


class Bomb:
    """Create a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("with_safe_file", [True, False])
def test_pickle_is_not_executed(folder: Path, tmp_path: Path, with_safe_file: bool) -> None:
    torch.save({"attr_dict": Bomb(tmp_path / "executed")}, folder / "model.pt")
    if with_safe_file:
        _load(folder)
        KRATOS.load_registry(folder)
    else:
        (folder / "model.safetensors").unlink()
        for load in (_load, KRATOS.load, KRATOS.load_registry, KRATOS.view_setup_args):
            with pytest.raises(ValueError, match=r"can run any code.*allow_pickle=True"):
                load(folder)
        with pytest.raises(ValueError, match="allow_pickle"):
            SCARE.load_query_data(_cells(), folder)
        with pytest.raises(ValueError, match="allow_pickle"):
            SCARE.prepare_query_anndata(_cells(), str(folder))
    with pytest.raises(NotImplementedError, match="allow_pickle"):
        KRATOS.convert_legacy_save(folder, tmp_path / "new")
    assert not (tmp_path / "executed").exists()


# -- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix", ["../x_", "a/b", "/tmp/x", "..", "a\\b", "c:x", "a\0", ".saving-", "a\nb", 3, b"x"]
)
def test_prefix_with_a_folder_is_an_error(model: KRATOS, tmp_path: Path, prefix: Any) -> None:
    (tmp_path / "model").mkdir()
    for call in (
        lambda: model.save(tmp_path / "model", prefix=prefix, overwrite=True),
        lambda: KRATOS.load(tmp_path / "model", prefix=prefix),
        lambda: KRATOS.load_registry(tmp_path / "model", prefix=prefix),
    ):
        with pytest.raises((ValueError, TypeError), match="prefix must be"):
            call()
    assert list(tmp_path.rglob("*")) == [tmp_path / "model"]


def test_files_are_named_with_the_prefix(model: KRATOS, tmp_path: Path) -> None:
    model.save(tmp_path / "model", prefix="first_", save_anndata=True)
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"first_model.safetensors", "first_adata.h5ad"}
    loaded = KRATOS.load(tmp_path / "model", prefix="first_")
    np.testing.assert_array_equal(loaded.predict(), model.predict())
    with pytest.raises(ValueError, match="pass its prefix"):
        _load(tmp_path / "model")


@pytest.mark.parametrize("path", [None, 3, b"x", "", "a\0b"])
def test_folder_must_be_a_path(model: KRATOS, path: Any) -> None:
    for call in (model.save, _load):
        with pytest.raises((ValueError, TypeError), match="dir_path must be"):
            call(path)


def test_folder_without_a_model(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match=r"there is no model\.safetensors in"):
            _load(folder)


def test_arguments_without_effect_are_an_error(
    model: KRATOS, folder: Path, tmp_path: Path
) -> None:
    for arguments in ({"save_kwargs": {"pickle_protocol": 4}}, {"datamodule": object()}):
        with pytest.raises(ValueError, match="must be left out"):
            model.save(tmp_path / "other", **arguments)
    with pytest.raises(ValueError, match="backup_url must be left out"):
        _load(folder, backup_url="https://example.org")
    with pytest.raises(TypeError, match="no argument 'alow_pickle'"):
        _load(folder, alow_pickle=True)
    with pytest.raises(TypeError, match="adata must be an AnnData"):
        KRATOS.load(folder, adata="cells.h5ad")
    with pytest.raises(ValueError, match="no AnnData to save"):
        _load(folder).save(tmp_path / "other", save_anndata=True)
    assert not (tmp_path / "other").exists()
    model.save(tmp_path / "other", legacy_mudata_format=True)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="already exists"):
        model.save(tmp_path / "file", overwrite=True)


# -- interruptions -----------------------------------------------------------------------------


def test_other_files_in_the_folder_are_kept(model: KRATOS, folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    model.save(folder, overwrite=True, save_anndata=True, compression="gzip")
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.safetensors", "adata.h5ad", "notes.txt"}
    assert (folder / "notes.txt").read_text() == "mine"


def test_backed_cells_stay_backed(tmp_path: Path) -> None:
    import anndata as ad

    _cells().write_h5ad(tmp_path / "cells.h5ad")
    adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    model = _kratos(adata)
    model.save(tmp_path / "model", save_anndata=True)
    assert adata.filename == tmp_path / "cells.h5ad"
    np.testing.assert_array_equal(KRATOS.load(tmp_path / "model").predict(), model.predict())


def test_error_while_writing_keeps_the_earlier_model(
    model: KRATOS, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ("write", "move", "sync"):

        def fail(*args: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(model_file, name, fail)
        with pytest.raises(OSError, match="No space left"):
            model.save(folder, overwrite=True, save_anndata=True)
        with pytest.raises(OSError, match="No space left"):
            model.save(folder.parent / "new", save_anndata=True)
        monkeypatch.undo()
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert not (folder.parent / "new").exists()


def test_cells_that_cannot_be_written(tmp_path: Path) -> None:
    adata = _cells()
    model = _kratos(adata)
    model.save(tmp_path / "model", save_anndata=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    adata.uns["what"] = object()
    with pytest.raises(Exception, match="what"):
        model.save(tmp_path / "model", overwrite=True, save_anndata=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / "model").iterdir()} == before


#: Saves a changed model over copies of a folder, each in a process that is
#: killed or exceeds a limit on file sizes.
SAVES = """
import os, resource, shutil, signal, sys
from pathlib import Path
from ace.model import KRATOS
from ace.model.saving import _model_file

saved = Path(sys.argv[1])
model = KRATOS.load(saved)
model.module.classifier.bias.data += 1
model.adata.obs["version"] = "new"


def save_to(name, prepare):
    folder = saved.with_name(name)
    shutil.copytree(saved, folder)
    if os.fork() == 0:
        try:
            prepare()
            model.save(folder, overwrite=True, save_anndata=True)
        except BaseException as error:
            print(name, type(error).__name__, flush=True)
        os._exit(0)  # HDF5 does not survive a failed write for long
    os.wait()


def kill_at(n):
    moments = iter(range(1, 99))

    def step():
        if next(moments) == n:
            os.kill(os.getpid(), signal.SIGKILL)

    def stepped(function):
        def run(*args):
            step()
            function(*args)
            step()
        return run

    for name in ("write", "move"):
        setattr(_model_file, name, stepped(getattr(_model_file, name)))


for n in range(1, 7):
    save_to(f"killed-{n}", lambda: kill_at(n))
for n in (1000, 5000):
    save_to(f"limited-{n}", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)))
"""


@pytest.fixture(scope="module")
def interrupted(_trained: KRATOS, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("interrupted")
    _trained.save(folder / "saved", save_anndata=True)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SAVES, str(folder / "saved")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return folder, done.stdout


@pytest.mark.parametrize("moment", range(1, 7))
def test_killed_while_saving(model: KRATOS, interrupted: tuple[Path, str], moment: int) -> None:
    """There is always a complete model: the earlier one, or the new one with its cells."""
    folder = interrupted[0] / f"killed-{moment}"
    loaded = KRATOS.load(folder)
    is_new = moment >= 4  # the model file has been moved
    bias = model.module.classifier.bias + is_new
    torch.testing.assert_close(loaded.module.classifier.bias, bias, rtol=0, atol=0)
    assert ("version" in loaded.adata.obs) == is_new
    loaded.save(folder, overwrite=True, save_anndata=True)  # saving again succeeds
    np.testing.assert_array_equal(KRATOS.load(folder).predict(), loaded.predict())


@pytest.mark.parametrize("limit", [1000, 5000])
def test_full_disk(interrupted: tuple[Path, str], limit: int) -> None:
    folder, said = interrupted
    assert f"limited-{limit}" in said  # raises an error
    after, before = (
        {path.name: path.read_bytes() for path in (folder / name).iterdir()}
        for name in (f"limited-{limit}", "saved")
    )
    assert after == before


# -- MuData ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning")  # of mudata's defaults
def test_mudata(tmp_path: Path) -> None:
    rna = _cells()
    mdata = mudata.MuData({"rna": rna})
    mdata.obs["type"] = rna.obs["type"].to_numpy()
    KRATOS.setup_mudata(mdata, "type", modalities={"layer": "rna"})
    model = KRATOS(mdata, n_hidden=(4,))
    model.train(**QUIET)
    model.save(tmp_path / "model", save_anndata=True)
    assert {p.name for p in (tmp_path / "model").iterdir()} == {"model.safetensors", "mdata.h5mu"}
    loaded = KRATOS.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(soft=True), model.predict(soft=True))
