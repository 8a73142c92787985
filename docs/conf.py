"""Configuration of Sphinx: `make docs` builds with warnings as errors, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from importlib.metadata import metadata
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
TABLES = HERE / "generated" / "tables"

_info = metadata("ace-sc")
project = "ace"
author = "the ace developers"
copyright = f"2026, {author}"
version = release = _info["Version"]
_source = next(
    url.split(", ")[1] for url in _info.get_all("Project-URL") if url.startswith("Source")
)

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "scanpydoc.definition_list_typed_field",
    "scanpydoc.elegant_typehints",
    "scanpydoc.theme",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "**.ipynb_checkpoints", "generated/tables"]
# sphinx_autodoc_typehints uses a function that will be removed in Sphinx 10.
warnings.filterwarnings("ignore", module="sphinx_autodoc_typehints")
suppress_warnings = [
    # Names imported for type checkers only are shown as written.
    "sphinx_autodoc_typehints.forward_reference",
    "sphinx_autodoc_typehints.guarded_import",
]

# Links to other projects need inventories from the network; without it, they are plain names.
if os.environ.get("READTHEDOCS"):
    extensions.append("sphinx.ext.intersphinx")
intersphinx_mapping = {
    "anndata": ("https://anndata.readthedocs.io/en/stable", None),
    "captum": ("https://captum.ai/api", None),
    "matplotlib": ("https://matplotlib.org/stable", None),
    "numpy": ("https://numpy.org/doc/stable", None),
    "pandas": ("https://pandas.pydata.org/docs", None),
    "python": ("https://docs.python.org/3", None),
    "scanpy": ("https://scanpy.readthedocs.io/en/stable", None),
    "scvi": ("https://docs.scvi-tools.org/en/stable", None),
    "torch": ("https://docs.pytorch.org/docs/stable", None),
}

# The functions and classes of each group are named in api.md; see _check_api_page.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = False
napoleon_use_rtype = True
always_use_bars_union = True
typehints_defaults = "braces"
typehints_document_rtype_none = False

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# The tutorials are executed by `make tutorials`.
nb_execution_mode = "off"

html_theme = "scanpydoc"
html_title = "ace"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_theme_options = {
    "repository_url": _source,
    "repository_branch": "main",
    "use_repository_button": True,
    "path_to_docs": "docs",
    "navbar_persistent": [],  # the sidebar has a search box
}


#: Citation keys in docstrings inherited from scvi-tools, and the keys in references.bib.
_CITED = {
    "Lopez18": "lopez2018scvi",
    "Boyeau19": "boyeau2019deep",
    "Ionides2008": "ionides2008truncated",
}


def _cite_by_our_keys(app, what, name, obj, options, lines: list[str]) -> None:
    for theirs, ours in _CITED.items():
        lines[:] = [line.replace(f"`{theirs}`", f"`{ours}`") for line in lines]


def setup(app) -> None:
    app.connect("autodoc-process-docstring", _cite_by_our_keys)


def _check_api_page() -> None:
    """Raise if a public name of a package is missing from api.md."""
    from importlib import import_module

    listed = set((HERE / "api.md").read_text(encoding="utf-8").split())
    packages = ["tl", "get", "pl", "model", "explain", "nn", "metrics", "datasets"]
    public = [
        f"{name}.{item}" for name in packages for item in import_module(f"ace.{name}").__all__
    ]
    missing = [name for name in public if name not in listed]
    if missing:
        raise RuntimeError(f"docs/api.md does not list {', '.join(missing)}.")


def _write_methods_table() -> None:
    """Write the table of methods from the records of the methods."""
    import ace

    table = ace.explain.methods().reset_index(names="name")
    columns = ["name", "computes", "paper", "needs_reference"]
    lines = [" | ".join(c.replace("_", " ") for c in columns), " | ".join("---" for _ in columns)]
    lines += [
        f"`{name}` | {computes} | {paper} | {'yes' if needs_reference else 'no'}"
        for name, computes, paper, needs_reference in table[columns].itertuples(index=False)
    ]
    (TABLES / "methods.md").write_text("".join(f"| {line} |\n" for line in lines))


def _write_presets_table() -> None:
    """Write the settings of scNym's presets."""
    from dataclasses import asdict

    from ace.model.scnym import PRESETS

    shown = ["default", "new_identity", "supervised", "published"]
    columns = [asdict(PRESETS[name]) for name in shown]
    lines = [" | ".join(["setting", *(f"`{name}`" for name in shown)]), " | ".join(["---"] * 5)]
    lines += [
        " | ".join([f"`{setting}`", *(str(column[setting]) for column in columns)])
        for setting in columns[0]
    ]
    (TABLES / "presets.md").write_text("".join(f"| {line} |\n" for line in lines))


def _render_benchmarks() -> None:
    """Render the results of the benchmarks as tables and figures of the benchmark pages."""
    command = [sys.executable, "-m", "benchmarks", "render", "--out", str(TABLES)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


TABLES.mkdir(parents=True, exist_ok=True)
_check_api_page()
_write_methods_table()
_write_presets_table()
_render_benchmarks()
