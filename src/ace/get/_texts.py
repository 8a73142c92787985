"""Descriptions of parameters that several tables share."""

ADATA = """
adata
    Annotated data with the result of :func:`ace.tl.explain`.
"""

GROUPS = """
groups
    A group or several; the rows follow this order. If ``None``, all in stored order.
"""

KEY = """
key
    The ``key_added`` of the explanation.
"""
