"""Inequalities: who is compared with whom, on which seeds, and what is seen of it."""

import pandas as pd
import pytest


def _rows(column="auroc", **methods):
    lines = [
        {"method": name.replace("_", " "), "seed": seed, column: value}
        for name, found in methods.items()
        for seed, value in enumerate(found)
    ]
    return pd.DataFrame(lines)


def test_means_are_compared_as_they_are_shown():
    from _evidence import against, is_baseline

    rows = _rows(ace_panel=[0.9, 0.92], COSG=[0.90004, 0.92004], GCE=[0.85, 0.85])
    more = against(rows, "auroc", "ace panel", is_baseline, best=1)
    assert more.said == "0.910 ± 0.014, 0.910 ± 0.014 of COSG"
    assert (more.holds, more.n_seeds) == (False, 2)  # a tie is not more
    assert against(rows, "auroc", "ace panel", is_baseline, best=1, decimals=5).holds is False
    assert against(rows, "auroc", "ace panel", ("GCE",), best=1).holds is True
    assert against(rows, "auroc", "ace panel", ("GCE",), best=-1).holds is False
    # Nothing to compare with, or nothing to compare.
    assert against(rows, "auroc", "ace panel", ("GRS",), best=1).holds is None
    assert against(rows, "auroc", "KRATOS + panel", is_baseline, best=1).holds is None
    assert against(rows, "missing", "ace panel", is_baseline, best=1).holds is None


def test_methods_are_compared_on_the_seeds_that_both_have():
    from _evidence import against, is_baseline

    # Ahead on average over its own seeds, behind on the only one of the rival.
    rows = _rows(ace_panel=[0.90, 0.95, 0.97], COSG=[0.92])
    part = against(rows, "auroc", "ace panel", is_baseline, best=1)
    assert part.said == "0.900, 0.920 of COSG (on 1 seed that both have)"
    assert (part.holds, part.n_seeds) == (False, 1)
    # The rival that is nearest on common seeds counts, though another one's mean is higher.
    rows = _rows(ace_panel=[0.90, 0.96, 0.97], COSG=[0.91], GCE=[0.91, 0.93, 0.93])
    part = against(rows, "auroc", "ace panel", is_baseline, best=1)
    assert part.said == "0.900, 0.910 of COSG (on 1 seed that both have)"
    # Seeds without any in common tell nothing.
    apart = rows[(rows["seed"] > 0) | (rows["method"] == "COSG")]
    assert against(apart, "auroc", "ace panel", ("COSG",), best=1).holds is None
    # Rows without seeds are of one run.
    alone = _rows(ace_panel=[0.9], COSG=[0.8]).drop(columns="seed")
    part = against(alone, "auroc", "ace panel", is_baseline, best=1)
    assert (part.said, part.n_seeds) == ("0.900, 0.800 of COSG", 1)


def test_rivals_that_were_not_measured_are_named():
    from _evidence import against

    rows = _rows(ace_panel=[0.9], COSG=[0.8])
    part = against(rows, "auroc", "ace panel", ("COSG", "GRS", "ace panel"), best=1)
    assert part.said == "0.900, 0.800 of COSG, without GRS"
    assert (part.holds, part.missing) == (True, ("GRS",))
    assert against(rows, "auroc", "ace panel", ("COSG",), best=1).missing == ()


def test_without_a_rival_no_claim_holds_plainly(tmp_path):
    from _claims import Claim, judge
    from _evidence import Evidence, against

    rows = _rows(ace_panel=[0.9], COSG=[0.8])
    claim = Claim(
        "", "", "", lambda e: [against(rows, "auroc", "ace panel", ("COSG", "GRS"), best=1)]
    )
    found = judge(claim, Evidence(tmp_path))
    assert found.verdict == "holds, as far as measured"
    assert "<br>– not measured everywhere: GRS<br>" in found.measured


@pytest.mark.parametrize(
    ("value", "level", "best", "decimals", "holds", "said"),
    [
        (0.5, 0.5, -1, 1, True, "0.5, at most 0.5"),
        (0.5, 0.5, 1, 1, True, "0.5, at least 0.5"),
        (0.545, 0.5, -1, 1, False, "0.55, at most 0.5"),
        (9.955, 10, 1, 1, False, "9.96, at least 10"),
        (9.9996, 10, 1, 1, False, "9.9996, at least 10"),
        (0.5455, 0.55, 1, 2, False, "0.545, at least 0.55"),
        (9.6, 10, 1, 0, False, "9.6, at least 10"),
        (0.4, 0.5, 1, 1, False, "0.4, at least 0.5"),
        (0.1 + 0.2, 0.3, -1, 1, True, "0.3, at most 0.3"),  # not exact as a sum
        (0.14, 0.15, -1, 1, True, "0.1, at most 0.15"),
        (0.16, 0.15, 1, 1, True, "0.2, at least 0.15"),
        (0.16, 0.25, 1, 1, False, "0.2, at least 0.25"),
    ],
)
def test_a_level_is_met_by_the_mean_itself(value, level, best, decimals, holds, said):
    from _evidence import reaches

    rows = _rows(x=[value])
    part = reaches(rows, "auroc", "x", level, best=best, decimals=decimals)
    assert (part.said, part.holds) == (said, holds)
    assert reaches(rows, "auroc", "y", level, best=best).holds is None


def test_percents_show_the_side_of_their_level():
    from _evidence import percent

    assert percent(0.9946, 0.995) == "99.46%"
    assert percent(0.995, 0.995) == "99.5%"
    assert percent(0.9866, 0.987) == "98.66%"
    assert percent(1.0, 0.995) == "100.0%"


def test_what_is_ours_is_no_baseline():
    from _evidence import is_baseline

    ours = ("ace panel", "ACE + panel", "ACE of 256 genes + panel", "KRATOS + x", "SCVI + panel")
    assert not any(map(is_baseline, (*ours, "20 causal genes")))
    assert all(map(is_baseline, ("COSG", "GCE in ACE", "DESeq2", "NS-Forest")))
