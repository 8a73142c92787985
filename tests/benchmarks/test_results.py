"""Kept rows."""


def test_rows_of_other_seeds_by_other_code_are_forgotten(tmp_path):
    from _results import Results

    path = tmp_path / "rows.json"
    results = Results(path, ("method", "seed"))
    for seed in (0, 1, 2):
        results.add({"method": "a", "seed": seed, "code": "old", "value": seed})
    results.add({"method": "b", "seed": 0, "code": "old", "value": 9})
    results.add({"method": "a", "seed": 1, "code": "new", "value": 5})
    again = Results(path, ("method", "seed"))
    assert again.get({"method": "a", "seed": 0, "code": "old"}) is None
    assert again.get({"method": "a", "seed": 1, "code": "new"})["value"] == 5
    assert again.get({"method": "b", "seed": 0, "code": "old"})["value"] == 9


def test_the_same_code_keeps_every_seed(tmp_path):
    from _results import Results

    results = Results(tmp_path / "rows.json", ("method", "seed"))
    for seed in (0, 1):
        results.add({"method": "a", "seed": seed, "code": "same"})
    assert all(results.get({"method": "a", "seed": s, "code": "same"}) for s in (0, 1))
