"""Digits: what is explained, what all solvers are asked, and what is kept."""

import json
import warnings

import numpy as np
import pytest
import torch


def _rows(path):
    return json.loads(path.read_text())["rows"]


def test_pairs_cover_every_digit_both_ways():
    from _images import ACE_PAIRS, KRATOS_PAIRS

    assert len(set(ACE_PAIRS)) == 20
    for side in zip(*ACE_PAIRS, strict=True):
        assert {digit: side.count(digit) for digit in "0123456789"} == dict.fromkeys(
            "0123456789", 2
        )
    assert len(set(KRATOS_PAIRS)) == 12
    for pairs in (ACE_PAIRS, KRATOS_PAIRS):
        assert {(b, a) for a, b in pairs} == set(pairs)


def test_images_survive_as_text():
    from _images import pack, unpack

    image = np.random.default_rng(0).random((5, 7))
    np.testing.assert_allclose(unpack(pack(image), (5, 7)), image, atol=0.5 / 255 + 1e-6)


def test_only_images_that_are_right_are_chosen_and_fewer_are_the_first():
    from _images import choose, load_digits

    digits = load_digits("digits")
    right = torch.arange(len(digits.test)) % 2 == 0
    pairs = [("8", "5"), ("8", "3")]
    many, few = (choose(digits, right, pairs, n, seed=0) for n in (6, 2))
    for a, b in zip(many, few, strict=True):
        assert len(a) == 6
        np.testing.assert_array_equal(a[:2], b)
        assert (a % 2 == 0).all()
        assert (digits.test_labels[a] == 8).all()
    assert set(many[0]) != set(many[1])


def test_quick_form(tmp_path, monkeypatch, capsys):
    import mnist

    monkeypatch.delenv("ACE_DATA_DIR", raising=False)
    monkeypatch.setattr(mnist, "RESULTS", tmp_path)
    path = tmp_path / "mnist.json"
    arguments = ["--networks", "vector", "--epochs", "8", "--pairs", "2", "--steps", "50"]
    arguments += ["--only", "proximal", "subgradient", "--out", str(path)]
    mnist.main(arguments)
    assert "scikit-learn's digits, in the quick form" in capsys.readouterr().out
    rows = {(row["subject"], row["images"]): row for row in _rows(path)}
    assert rows["network", "all"]["n_test"] == 540
    assert rows["network", "all"]["accuracy"] > 0.85
    pair = rows["proximal", "3→8"]
    assert pair["flipped"] == 1
    assert len(pair["l1"]) == pair["n_images"] == 5
    ours, published = (rows[f"{s}, margin 1", "part 0"] for s in ("proximal", "subgradient"))
    assert ours["gap"] == pytest.approx(-1, abs=0.05)
    assert np.median(ours["l1"]) < np.median(published["l1"])
    # The first image of a pair is the first of the part for all.
    assert ours["l1"][0] == pytest.approx(pair["l1"][0], rel=1e-3)

    mnist.main(arguments)
    assert "subject" not in capsys.readouterr().out  # nothing was run again


def test_the_attack_answers_the_same_question(tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        pytest.importorskip("foolbox", exc_type=ImportError)
    import mnist

    monkeypatch.setattr(mnist, "RESULTS", tmp_path)
    path = tmp_path / "mnist.json"
    arguments = ["--quick", "--networks", "vector", "--epochs", "8", "--pairs", "3"]
    arguments += ["--images", "2", "--only", "proximal", "EAD stronger", "--out", str(path)]
    mnist.main(arguments)
    rows = {(row["subject"], row["images"]): row for row in _rows(path)}
    for margin in (0, 1):
        theirs = rows[f"EAD stronger, margin {margin}", "part 0"]
        ours = rows[f"proximal, margin {margin}", "part 0"]
        assert theirs["flipped"] == ours["flipped"] == 1
        assert theirs["gap"] < -margin
        assert np.median(ours["l1"]) <= np.median(theirs["l1"])
