"""Names that users of other functions type for an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: Arguments of this package for the names that scanpy, scvi-tools, scikit-learn and earlier
#: versions use. The first that a function has is suggested.
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "seed": ("random_state",),
    "random_seed": ("random_state",),
    "key": ("key_added",),
    "group": ("groups",),
    "ref": ("reference",),
    "references": ("reference",),
    "batch_key": ("domain_key",),
    "batch": ("batch_key", "domain_key"),
    "n_top_genes": ("n_genes",),
    "n_genes": ("n_top_genes",),
    "n_epochs": ("max_epochs",),
    "epochs": ("max_epochs",),
    "unlabelled_category": ("unlabeled_category",),
    "mod": ("modality",),
    "pval": ("pvals",),
    "verbose": ("progress",),
    "show_progress": ("progress",),
}


def no_aliases(given: Iterable[str], arguments: Collection[str], function: str) -> None:
    """Raise a ``TypeError`` that gives the right name if an alias of an argument was passed.

    Parameters
    ----------
    given
        Names of keyword arguments that are not arguments of the function.
    arguments
        Its arguments.
    function
        Its name, for the message.
    """
    for name in given:
        known = [argument for argument in _ARGUMENTS.get(name, ()) if argument in arguments]
        if known:
            raise TypeError(f"{function} has no argument {name!r}: use {known[0]}=.")
