"""Benchmarks: experiments are data, results are tidy tables, reports are drawn from these.

python -m benchmarks list                  experiments, data sets and methods
python -m benchmarks run panels --quick    run an experiment (``--quick``: a small form of it)
python -m benchmarks render                turn results into tables and figures
"""
