"""What at least two of the models share: genes, latent space, classification and data fields."""
