"""SCARE's benchmark: scores are those known by hand, models are told what their names say."""

import json

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.callbacks import Callback

BUNDLED = "pbmc68k"


@pytest.fixture
def asked(tmp_path):
    """Options as the command line makes them."""
    from scare import _parse

    return _parse(["--quick", "--epochs", "1", "--latents", str(tmp_path / "latents")])


def _two_blobs(n=60):
    """Cells of two types far apart, each with two time points a little apart."""
    rng = np.random.default_rng(0)
    types, times = np.repeat(["a", "b"], n), np.tile(["early", "late"], n)
    z = rng.normal(scale=0.1, size=(2 * n, 3))
    z[:, 0] += 100 * (types == "a")
    return z, types, times


# -- data ----------------------------------------------------------------------------------------


def test_sets_apart_share_no_gene():
    from _scare_data import apart

    found = apart({"one": ["x", "y"], "two": ["y", "z"], "both": ["x", "y", "z"]})
    assert found == {"one": ["x"], "two": ["z"]}


def test_genes_of_the_sets_are_kept_and_random_ones_are_of_none():
    from _scare_data import gene_sets, load, random_genes

    adata, sets = load(BUNDLED), gene_sets(BUNDLED)
    assert set(sets["both"]) == set(sets["HLA"]) | set(sets["CD"]) <= set(adata.var_names)
    assert (adata.X.data == np.rint(adata.X.data)).all()
    drawn = random_genes(BUNDLED, 30, seed=1)
    assert len(set(drawn)) == 30
    assert not set(drawn) & set(sets["both"])
    assert drawn != random_genes(BUNDLED, 30, seed=2)


# -- scores --------------------------------------------------------------------------------------


def test_types_that_are_apart_are_told_and_rare_ones_not_asked_for():
    from _scare_scores import types_kept

    z, types, _ = _two_blobs()
    assert types_kept(z, types) == {"accuracy": 1.0, "balanced_accuracy": 1.0}
    # Two cells with another name in the midst of the others: no type of their own.
    rare = types.copy()
    rare[:2] = "rare"
    assert types_kept(z, rare) == {"accuracy": 1.0, "balanced_accuracy": 1.0}
    shuffled = np.random.default_rng(0).permutation(types)
    assert 0.3 < types_kept(z, shuffled)["accuracy"] < 0.7


def test_times_within_types():
    from _scare_scores import times_apart

    z, types, times = _two_blobs()
    mixed = times_apart(z, types, times)
    assert mixed["time_mixing"] == pytest.approx(1, abs=0.1)
    assert mixed["time_silhouette"] == pytest.approx(0, abs=0.05)
    z[:, 1] += 50 * (times == "late")
    apart = times_apart(z, types, times)
    assert apart["time_mixing"] == 0
    assert apart["time_silhouette"] > 0.98
    assert set(apart["time_by_type"]) == {"a", "b"}
    # A type with one time point has no say.
    one = np.where(types == "b", "early", times)
    assert set(times_apart(z, types, one)["time_by_type"]) == {"a"}


def test_share_of_attribution_by_hand():
    from _scare_scores import share

    values = np.array([[1.0, -1.0, 2.0], [0.0, 0.0, 0.0], [3.0, 0.0, 1.0]])
    assert share(values, np.array([True, True, False])) == pytest.approx((0.5 + 0.75) / 2)


def test_mixing_of_a_random_choice_is_one():
    from _scare_scores import mixing

    rng = np.random.default_rng(0)
    z = rng.normal(size=(2000, 3))
    assert mixing(z, rng.choice(["a", "b"], 2000, p=[0.8, 0.2])) == pytest.approx(1, abs=0.05)


# -- models --------------------------------------------------------------------------------------


class _Enough(Exception):
    pass


class _Ask(Callback):
    def on_fit_start(self, trainer, *args):
        self.epochs = trainer.max_epochs
        raise _Enough


def test_others_are_trained_for_as_many_epochs():
    from _scare_data import load
    from _scare_models import Budget, epochs_of

    import ace

    adata = load(BUNDLED).copy()
    ace.model.SCARE.setup_anndata(adata)
    model, ask = ace.model.SCARE(adata), _Ask()
    with pytest.raises(_Enough):
        model.train(accelerator="cpu", enable_progress_bar=False, callbacks=[ask])
    assert epochs_of(adata.n_obs, Budget()) == ask.epochs
    assert epochs_of(adata.n_obs, Budget(epochs=7)) == 7


def test_weights_are_given_and_no_genes_mean_the_plain_model(monkeypatch):
    import _scare_models
    from _scare_data import gene_sets, load
    from _scare_models import METHODS, PLAIN, Budget, scanned, train

    told = []
    monkeypatch.setattr(
        _scare_models.SCARE, "train", lambda self, **k: told.append((self, k["plan_kwargs"]))
    )
    genes = tuple(gene_sets(BUNDLED)["HLA"])
    every = METHODS | scanned()
    for name in (PLAIN, "SCARE", "SCARE, weight 20", "published, encoder_sum, weight 10000"):
        train(load(BUNDLED), every[name], genes, 0, Budget(weight=3.0))
    models, plans = zip(*told, strict=True)
    assert plans[0] == {}
    assert [p["attribution_weight"] for p in plans[1:]] == [3.0, 20.0, 1e4]
    assert [len(m._ground_truth) for m in models] == [0, 1, 1, 1]
    published = models[3]._settings
    assert (published.target, published.transform) == ("encoder_sum", "abs_minmax")
    assert (published.reference, models[3].loss_) == ("minibatch", "mse")


def test_one_measure_of_attribution_for_all_models():
    from _scare_data import gene_sets
    from _scare_models import OURS, SCVI, Budget, attributions, trained

    genes = gene_sets(BUNDLED)["HLA"]
    adata, model, _ = trained(BUNDLED, OURS, genes, 0, Budget(epochs=1))
    np.testing.assert_array_equal(
        attributions(adata, model), model.get_attributions(n_samples=5, random_state=0)
    )
    other, scvi, _ = trained(BUNDLED, SCVI, genes, 0, Budget(epochs=1))
    assert np.isfinite(attributions(other, scvi).to_numpy()).all()
    assert trained(BUNDLED, SCVI, genes[:3], 0, Budget(epochs=1))[1] is scvi


# -- jobs ----------------------------------------------------------------------------------------


def test_jobs_are_told_apart(asked):
    import scare

    rows = [
        job.row
        for name, make in scare.COMPARISONS.items()
        if name != "integration"
        for job in make(BUNDLED, asked)
    ]
    keys = [tuple(row[key] for key in scare.KEYS) for row in rows]
    assert len(keys) == len(set(keys)) > 20


def test_a_row_of_each_kind(asked):
    from _scare_tasks import DISJOINT, OURS, pathway, row_of
    from _scare_tasks import _disjoint as run_disjoint

    job = next(job for job in pathway(BUNDLED, asked) if job.row["set"] == "both")
    row = job.run()
    assert job.row["method"] == OURS
    assert row["n_epochs"] == 1
    assert -1 <= row["fssf"] <= 1
    assert len(row["pairs"]) == row["n_pairs"] > 0
    assert len(list(asked.latents.glob("*.npy"))) == 1
    found = run_disjoint(row_of("disjoint", BUNDLED, "each", DISJOINT, 0, asked), asked)
    assert found["blocks"].keys() == found["blocks"]["HLA"].keys() == {"HLA", "CD"}
    own = (found["blocks"]["HLA"]["HLA"] + found["blocks"]["CD"]["CD"]) / 2
    assert found["fssf_own"] == pytest.approx(own)


def test_what_was_run_is_not_run_again(tmp_path, capsys):
    import scare

    out = tmp_path / "scare.json"
    arguments = ["--quick", "--only", "selection", "--out", str(out)]
    ways = ("dispersion", "Pearson residuals", "variance")
    arguments += ["--methods", "random genes", *(f"variable genes, by {way}" for way in ways)]
    scare.main(arguments)
    assert capsys.readouterr().out.count("selection") == 4
    rows = {row["method"]: row for row in json.loads(out.read_text())["rows"]}
    assert all(len(set(row["genes"])) == 50 for row in rows.values())
    found = {name.rpartition(" ")[2]: row["accuracy"] for name, row in rows.items()}
    assert min(found.pop(way.split()[-1]) for way in ways) > found.pop("genes")
    scare.main(arguments)
    assert capsys.readouterr().out == ""


def test_simulated_counts():
    from scare_speed import DRAWS, simulated

    adata = simulated(300)
    assert set(np.asarray(adata.X.sum(1)).ravel()) == {DRAWS}
    assert adata.obs["batch"].value_counts().tolist() == [150, 150]


# -- tables and figures --------------------------------------------------------------------------


def _run(method, seed, fssf, accuracy, comparison="pathway", **more):
    row = {"comparison": comparison, "data": "kang", "set": "both", "method": method}
    row |= {"seed": seed, "fssf": fssf, "fssf_random": -0.9, "n_pairs": 40, "n_genes": 231}
    row |= {"accuracy": accuracy, "balanced_accuracy": accuracy - 0.1}
    return row | {"share": 0.1 if "0" in method else 0.5} | more


def test_the_price_is_paired_by_seed():
    from _scare_tables import tables

    rows = [
        _run("SCARE", 0, 0.7, 0.90), _run("SCARE", 1, 0.5, 0.94),
        _run("SCARE, weight 0", 0, -0.8, 0.92), _run("SCARE, weight 0", 1, -0.8, 0.96),
    ]  # fmt: skip
    text = tables(pd.DataFrame(rows), pd.DataFrame())["scare"]
    ours = next(line for line in text.splitlines() if line.startswith("| SCARE |"))
    assert "**0.600 ± 0.141**" in ours
    assert "| -0.020 |" in ours  # the same in both seeds, though their levels differ
    assert "0.100 → 0.500, 5.0 times" in text
    assert "231 genes** (2 seeds)" in text


def test_weights_are_in_order():
    from _scare_tables import tables

    rows = [
        _run(f"{name}, weight {weight:g}", 0, 0.1, 0.9, "weights")
        for name, weight in (
            *(("SCARE", w) for w in (5.0, 10.0, 160.0)),
            *(("published, encoder_sum", w) for w in (5e4, 1e5)),
        )
    ]
    text = tables(pd.DataFrame(rows), pd.DataFrame())["scare_weights"]
    lines = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    numbers = [float(line.replace(",", "")) for line in lines if line[0].isdigit()]
    assert numbers == [5, 10, 160, 50_000, 100_000]


def test_blocks_against_sets():
    from _scare_tables import tables

    blocks = {"MAPK": {"MAPK": 0.6, "NF-kB": -0.8}, "NF-kB": {"MAPK": -0.7, "NF-kB": 0.3}}
    sizes = {"MAPK": 184, "NF-kB": 30}
    row = _run("SCARE, disjoint", 0, None, 0.9, "disjoint", blocks=blocks) | {"n_genes": sizes}
    text = tables(pd.DataFrame([row]), pd.DataFrame())["scare_disjoint"]
    assert "| SCARE, disjoint | those of MAPK | 0.600 | -0.800 |" in text
    assert "| SCARE, disjoint | those of NF-kB | -0.700 | 0.300 |" in text
    assert "184 genes of MAPK, 30 genes of NF-kB" in text


def test_figures(tmp_path):
    from _scare_figures import draw_scare_fssf, draw_scare_weights

    pairs = [["B", 0.5, -0.9], ["B", 0.7, -0.8], ["NK", 0.1, -0.9]]
    rows = [
        _run("SCARE", 0, 0.4, 0.9, pairs=pairs),
        _run("SCARE, weight 0", 0, -0.8, 0.95, pairs=pairs),
        _run("SCARE, weight 20", 0, 0.2, 0.93, "weights"),
        _run("SCARE, weight 1e+05", 0, 0.8, 0.8, "weights"),
    ]
    file = tmp_path / "scare.json"
    file.write_text(json.dumps({"rows": rows}))
    for draw in (draw_scare_fssf, draw_scare_weights):
        draw(file, tmp_path / "a.png")
        draw(file, tmp_path / "b.png")
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
        with pytest.raises(ValueError, match=r"pairs|weights"):
            draw(tmp_path / "nothing.json", tmp_path / "c.png")
