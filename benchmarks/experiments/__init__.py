"""All experiments by name. A new one is an entry here."""

from benchmarks.experiments import embeddings, images, rankings, scare, speed, transfer

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        *(rankings.PANELS, rankings.CURVES_OF_PANELS, rankings.OVERLAP_OF_PANELS),
        *(rankings.STABILITY, rankings.STRUCTURE, embeddings.CLUSTERS, embeddings.REPRESENTATIONS),
        *(images.MNIST, transfer.TRANSFER, scare.EXPERIMENT),
        *(speed.SPEED, speed.TRAIN_SPEED, speed.GPU, speed.TRANSFER_SPEED, speed.SCARE_SPEED),
    )
}
