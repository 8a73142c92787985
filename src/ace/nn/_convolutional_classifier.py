"""A small network for images."""

from __future__ import annotations

from torch import Tensor, nn


class ConvolutionalClassifier(nn.Module):
    r"""A small classifier of images in one channel, whose last pooling layer is an embedding.

    Two convolutions, each with rectified linear units, a maximum over squares of 2 × 2 pixels and
    a linear layer to the softmax logits: the network that :cite:t:`lu2021ace` (§5.3) explain.

    Parameters
    ----------
    image_shape
        Height and width in pixels.
    n_classes
        Number of classes.
    n_filters
        Filters of either convolution.
    kernel_size
        Height and width of the filters. There is no padding: each convolution makes the image
        smaller by ``kernel_size - 1``.

    Attributes
    ----------
    embedding
        The layers up to the last pooling layer, a module for flat images.
    n_latent
        Length of the embedding.

    Raises
    ------
    ValueError
        If a number is not positive or the image is too small for the filters.

    Examples
    --------
    >>> import torch
    >>> network = ConvolutionalClassifier((28, 28), 10)
    >>> images = torch.zeros(5, 28, 28)
    >>> network(images).shape, network.embed(images).shape
    (torch.Size([5, 10]), torch.Size([5, 3200]))
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        n_classes: int,
        *,
        n_filters: int = 32,
        kernel_size: int = 5,
    ) -> None:
        super().__init__()
        if min(n_classes, n_filters, kernel_size) < 1:
            raise ValueError(
                "n_classes, n_filters and kernel_size must be positive, got "
                f"{n_classes}, {n_filters} and {kernel_size}."
            )
        self.image_shape = (int(image_shape[0]), int(image_shape[1]))
        height, width = ((side - 2 * (kernel_size - 1)) // 2 for side in self.image_shape)
        if min(height, width) < 1:
            raise ValueError(
                f"two convolutions of {kernel_size} pixels and a pooling of 2 need images of "
                f"{2 * kernel_size} pixels or more, got {self.image_shape}; pass a smaller "
                "kernel_size."
            )
        self.n_latent = n_filters * height * width
        self.embedding = nn.Sequential(
            nn.Unflatten(1, (1, *self.image_shape)),
            nn.Conv2d(1, n_filters, kernel_size),
            nn.ReLU(),
            nn.Conv2d(n_filters, n_filters, kernel_size),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(self.n_latent, n_classes)

    def embed(self, x: Tensor) -> Tensor:
        """The last pooling layer.

        Parameters
        ----------
        x
            Images of shape ``(n_images, height, width)``, or flat, ``(n_images, height * width)``.

        Returns
        -------
        Tensor of shape ``(n_images, n_latent)``.

        Raises
        ------
        ValueError
            If the images are of another size.
        """
        height, width = self.image_shape
        if tuple(x.shape[1:]) not in ((height, width), (height * width,)):
            raise ValueError(
                f"expected images of shape (n_images, {height}, {width}) or (n_images, "
                f"{height * width}), got {tuple(x.shape)}."
            )
        embedded: Tensor = self.embedding(x.flatten(1))
        return embedded

    def forward(self, x: Tensor) -> Tensor:
        """Softmax logits of shape ``(n_images, n_classes)``; images as for :meth:`embed`."""
        logits: Tensor = self.classifier(self.embed(x))
        return logits
