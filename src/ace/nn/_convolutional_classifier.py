"""A small image classifier."""

from __future__ import annotations

from torch import Tensor, nn

from ace._checks._arguments import whole


class ConvolutionalClassifier(nn.Module):
    r"""Small convolutional classifier of single-channel images.

    Two convolutions with rectified linear units, max pooling over 2 × 2 pixels and a linear layer
    to the softmax logits, as explained in :cite:t:`lu2021ace` (§5.3). The pooling layer is the
    embedding.

    Parameters
    ----------
    image_shape
        Height and width in pixels.
    n_classes
        Number of classes.
    n_filters
        Number of filters of each convolution.
    kernel_size
        Height and width of the filters. There is no padding, so each convolution reduces the image
        by ``kernel_size - 1`` pixels.

    Attributes
    ----------
    embedding
        Module with the layers up to the pooling layer, for flattened images.
    n_latent
        Number of dimensions of the embedding.

    Raises
    ------
    ValueError
        If a number is not positive, or the images are too small for the filters.

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
        whole(n_classes, "n_classes")
        whole(n_filters, "n_filters")
        whole(kernel_size, "kernel_size")
        self.image_shape = (int(image_shape[0]), int(image_shape[1]))
        height, width = ((side - 2 * (kernel_size - 1)) // 2 for side in self.image_shape)
        if min(height, width) < 1:
            raise ValueError(
                f"image_shape must be at least {2 * kernel_size} pixels in each direction for "
                f"kernel_size={kernel_size}, got {self.image_shape}; pass a smaller kernel_size."
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
        """Embed images.

        Parameters
        ----------
        x
            Images, shape ``(n_images, height, width)`` or, if flattened,
            ``(n_images, height * width)``.

        Returns
        -------
        Activations of the pooling layer, shape ``(n_images, n_latent)``.

        Raises
        ------
        ValueError
            If the images have a different size.
        """
        height, width = self.image_shape
        if tuple(x.shape[1:]) not in ((height, width), (height * width,)):
            raise ValueError(
                f"x must have the shape (n_images, {height}, {width}) or (n_images, "
                f"{height * width}), got {tuple(x.shape)}."
            )
        embedded: Tensor = self.embedding(x.flatten(1))
        return embedded

    def forward(self, x: Tensor) -> Tensor:
        """Softmax logits of shape ``(n_images, n_classes)``; images as for :meth:`embed`."""
        logits: Tensor = self.classifier(self.embed(x))
        return logits
