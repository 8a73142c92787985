"""All experiments by name. A new one is an entry here."""

from benchmarks.experiments import (
    embeddings,
    gpu,
    images,
    model_speed,
    rankings,
    scare,
    speed,
    train_speed,
    transfer,
)

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        *(rankings.PANELS, rankings.CURVES_OF_PANELS, rankings.OVERLAP_OF_PANELS),
        *(rankings.STABILITY, rankings.STRUCTURE, embeddings.CLUSTERS, embeddings.REPRESENTATIONS),
        *(images.MNIST, transfer.TRANSFER, scare.EXPERIMENT),
        *(speed.SPEED, train_speed.TRAIN_SPEED, gpu.GPU),
        *(model_speed.TRANSFER_SPEED, model_speed.SCARE_SPEED),
    )
}
