"""Training of every model: loaders, training plan, trainer, and what an interrupted run leaves."""
