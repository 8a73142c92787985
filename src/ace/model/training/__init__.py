"""Training of all models: loaders, training plan, trainer, and recovery from interruptions."""
