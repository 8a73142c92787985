"""All experiments by name. A new one is an entry here."""

from benchmarks.experiments import rankings

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        rankings.PANELS,
        rankings.CURVES_OF_PANELS,
        rankings.OVERLAP_OF_PANELS,
        rankings.STABILITY,
        rankings.STRUCTURE,
    )
}
