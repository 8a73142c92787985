"""Errors for objects through which cells cannot be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ace._listed import listed

if TYPE_CHECKING:
    from anndata import AnnData


def not_a_model(model: Any) -> TypeError:
    """Return the error for an object that is not a supported model."""
    return TypeError(
        "model must be a trained model of ace.model or scvi-tools (ace.model.KRATOS, "
        "scvi.model.SCVI), or None for the principal components of adata, got "
        f"{type(model).__name__}."
    )


def not_a_function_of_genes(adata: AnnData, use_rep: str) -> Exception:
    """Return the error for coordinates in ``obsm``, such as Harmony's, passed as a model."""
    if use_rep not in adata.obsm:
        return KeyError(
            f"there is no {use_rep!r} in adata.obsm, which has {listed(adata.obsm)}. To explain "
            "through a model, pass the trained model itself."
        )
    return ValueError(
        f"adata.obsm[{use_rep!r}] holds coordinates of cells, not a differentiable function of "
        "the genes (the corrections of Harmony, Scanorama and BBKNN are no such functions). "
        "Groups that were found on it can still be explained:\n"
        "- model=None uses the principal components of adata; the fidelity shows whether they "
        "separate the groups;\n"
        "- model=<a trained scvi.model.SCVI or SCANVI, set up with batch_key=...> uses a "
        "batch-corrected latent space that is a function of the genes;\n"
        "- model=<a trained ace.model.ACE, set up with batch_key=...> does so, too."
    )
