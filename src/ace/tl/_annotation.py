"""The result of an annotation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._warn import warn
from ace.tl._majority_vote import majority_vote

if TYPE_CHECKING:
    from ace._keys import AnnotationKeys
    from ace.model import SCNYM
    from ace.tl._pool import Pool

#: Number of held-out cells below which calibration and novelty are unreliable.
FEWEST_HELD_OUT = 20


def annotation(
    model: SCNYM,
    pool: Pool,
    names: pd.Index,
    keys: AnnotationKeys,
    clusters: np.ndarray | None,
    min_prop: float,
) -> dict[str, Any]:
    """Predictions for the cells that are annotated.

    Parameters
    ----------
    model
        The trained model.
    pool
        Its cells.
    names
        Names of the cells that are annotated.
    keys
        Names of the columns.
    clusters
        Cluster of each of these cells, for a majority vote; ``None`` for no vote.
    min_prop
        See :func:`ace.tl.annotate`.

    Returns
    -------
    Arguments of :meth:`ace._keys.AnnotationKeys.write`, except what is stored in ``uns``.
    """
    rows = np.arange(pool.n_query)
    soft: Any = model.predict(indices=rows, soft=True)
    probabilities = soft.set_axis(names).astype(np.float32)
    given = pool.given.codes.astype(np.int64)
    codes = np.where(given >= 0, given, probabilities.to_numpy().argmax(axis=1))
    novelty = model.novelty(indices=rows).astype(np.float32)
    columns = {
        # The categories are the classes of the model, in the same order. Unused ones are removed,
        # because they are not groups to draw or to explain.
        keys.label: pd.Categorical.from_codes(
            codes, dtype=pool.given.dtype
        ).remove_unused_categories(),
        keys.given: given >= 0,
        keys.confidence: probabilities.to_numpy()[rows, codes],
        keys.novelty: novelty,
        keys.novel: (novelty > _threshold(model)) & (given < 0),
    }
    if clusters is not None:
        columns[keys.majority] = majority_vote(
            columns[keys.label], clusters, given < 0, min_prop=min_prop
        )
    embedding = model.get_latent_representation(indices=rows).astype(np.float32)
    return {"columns": columns, "probabilities": probabilities, "embedding": embedding}


def quality(model: SCNYM, key: str) -> dict[str, Any]:
    """Quality of the model on held-out labelled cells, to be stored in ``uns``.

    Warns
    -----
    UserWarning
        If too few cells are held out.
    """
    n_held_out = len(model.validation_indices)
    if n_held_out < FEWEST_HELD_OUT:
        warn(
            f"only {n_held_out} labelled cells were held out, too few to calibrate probabilities: "
            f"confidence and novelty of {key!r} are unreliable. Hold out more cells "
            "(validation_size=0.2).",
        )
    found: dict[str, Any] = {
        "novelty_threshold": _threshold(model),
        "temperature": float(model.temperature_),
    }
    if n_held_out:
        numbers = model.evaluate(split="validation")
        found["evaluation"] = {k: v for k, v in numbers.items() if isinstance(v, int | float)}
        found["reliability"] = model.get_calibration(split="validation")["reliability"]
    return found


def _threshold(model: SCNYM) -> float:
    """Threshold of novelty; NaN, which no score exceeds, without held-out cells."""
    return math.nan if model.novelty_threshold_ is None else float(model.novelty_threshold_)
