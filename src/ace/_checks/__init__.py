"""Checks of user input that several functions share, and the only place for them.

A condition that concerns the computation of a single function, such as the number of cells that
it needs, is checked by that function. Each module checks one kind of input:

``_arguments``
    Numbers in a range, choices, seeds, names of columns.
``_aliases``
    Names that users of other packages type for an argument.
``_objects``
    AnnData and MuData.
``_columns``
    Columns of ``obs`` and ``var`` of any pandas type.
``_groups``, ``_genes``
    The groups of cells in a column of ``obs``; names of genes.
``_matrices``, ``_value_checks``
    The matrix of an AnnData; the kind of values that it holds.
``_figures``
    Groups and columns that are selected for tables and figures.
``_models``
    Models that cells are explained through.
``_arrays``, ``_panels``
    Arrays, labels and panels of genes that are passed without an AnnData.
``_storable``
    Whether results can be stored in files.

Functions return the checked value or raise. Messages begin with the name of the argument or with
what is wrong, in lower case, and say what was expected and how to fix it. ``ace.explain``,
``ace.nn`` and ``ace.metrics`` must not depend on anndata, so they import from ``_arguments``,
``_arrays`` and ``_panels`` directly.
"""

from ace._checks._aliases import no_aliases
from ace._checks._arguments import (
    LARGEST_SEED,
    category,
    column_names,
    layers,
    n_jobs,
    number,
    one_of,
    positive,
    seed,
    share,
    whole,
)
from ace._checks._genes import (
    gene_positions,
    known_genes,
    mask_of,
    nothing_eligible,
    unique_genes,
)
from ace._checks._groups import (
    MIN_FIDELITY,
    chosen_groups,
    column_of,
    distinct,
    groups_of,
    reference_groups,
    sets_of_groups,
    warn_of_few_cells,
    warn_of_low_fidelity,
    warn_of_reserved_name,
)
from ace._checks._matrices import (
    LARGEST,
    computable,
    finite,
    finite_scores,
    matrix_of,
    not_raw,
    varied,
)
from ace._checks._models import not_a_function_of_genes, not_a_model

__all__ = [
    "LARGEST",
    "LARGEST_SEED",
    "MIN_FIDELITY",
    "category",
    "chosen_groups",
    "column_names",
    "column_of",
    "computable",
    "distinct",
    "finite",
    "finite_scores",
    "gene_positions",
    "groups_of",
    "known_genes",
    "layers",
    "mask_of",
    "matrix_of",
    "n_jobs",
    "no_aliases",
    "not_a_function_of_genes",
    "not_a_model",
    "not_raw",
    "nothing_eligible",
    "number",
    "one_of",
    "positive",
    "reference_groups",
    "seed",
    "sets_of_groups",
    "share",
    "unique_genes",
    "varied",
    "warn_of_few_cells",
    "warn_of_low_fidelity",
    "warn_of_reserved_name",
    "whole",
]
