"""Models saved by earlier versions can be loaded, and their outputs are unchanged."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ace
from ace.model.training._split import is_split_of

DATA = Path(__file__).parents[2] / "data"
_spec = importlib.util.spec_from_file_location("make_models", DATA / "make_models.py")
assert _spec is not None
assert _spec.loader is not None
make_models = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_models)

#: Version 0 models are pickles, as saved by scvi-tools.
SAVED = [
    pytest.param(version.name, name, id=f"{version.name}-{name}")
    for version in sorted(make_models.FOLDER.iterdir())
    for name in make_models.MODELS
]


def _load(version: str, name: str, **kwargs: Any) -> Any:
    if version == "v0":
        kwargs["allow_pickle"] = True
    return getattr(ace.model, name).load(make_models.FOLDER / version / name, **kwargs)


def test_there_is_a_model_of_each_class_and_version() -> None:
    from ace.model.saving._model_file import FORMAT_VERSION

    assert len(SAVED) == (FORMAT_VERSION + 1) * len(make_models.MODELS)


@pytest.mark.filterwarnings("ignore:.*counts")
@pytest.mark.parametrize(("version", "name"), SAVED)
def test_outputs_of_old_models_are_unchanged(version: str, name: str, tmp_path: Path) -> None:
    expected = json.loads((make_models.FOLDER / version / name / "answers.json").read_text())
    cells = make_models.cells(name)
    without, attached = _load(version, name, adata=False), _load(version, name, adata=cells)
    attached.save(tmp_path / "again")
    again = getattr(ace.model, name).load(tmp_path / "again", adata=False)
    for model in (without, attached, again):
        assert not model._is_unfinished_
        assert len(model.history["train_loss"]) == 2
        found = make_models.answers(model)
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            if key == "labels":
                assert found[key] == values
            else:
                np.testing.assert_allclose(found[key], values, rtol=1e-3, atol=1e-4)
    assert is_split_of(attached, attached.adata)


@pytest.mark.parametrize("name", make_models.MODELS)
def test_pickles_are_an_error_unless_allowed(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(make_models.FOLDER / "v0" / name, tmp_path / "model")
    cells = make_models.cells(name)
    cls = getattr(ace.model, name)
    for call in (cls.load, getattr(cls, "load_query_data", lambda a, b: cls.load(b, a))):
        arguments = (folder, cells) if call == cls.load else (cells, folder)
        with pytest.raises(ValueError, match="allow_pickle=True"):
            call(*arguments)
    assert not cells.uns
    assert not [column for column in cells.obs if column.startswith("_scvi")]
