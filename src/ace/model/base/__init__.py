"""Code shared by several models: genes, latent space, classification and data fields."""
