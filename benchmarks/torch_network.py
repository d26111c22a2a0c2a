"""The paper's colorization network and loss in PyTorch: the other side of the training-step benchmark."""

import numpy as np
import torch
from torch import nn

# Batch normalization as Caffe sets it; PyTorch's momentum is the fraction of the new batch.
_NORM = {"eps": 1e-5, "momentum": 0.001}


def paper_network():
    """Zhang, Isola and Efros (2016), v2: L (B, 1, H, W) in [0, 100] -> scores (B, 313, H / 4, W / 4)."""
    layers, channels = [], 1
    for filters, depth in ((64, 2), (128, 2), (256, 3)):
        for i in range(depth):
            layers += [nn.Conv2d(channels, filters, 3, 2 if i == depth - 1 else 1, 1), nn.ReLU()]
            channels = filters
        layers.append(nn.BatchNorm2d(filters, **_NORM))
    for dilation in (1, 2, 2, 1):
        for _ in range(3):
            layers += [nn.Conv2d(channels, 512, 3, 1, dilation, dilation), nn.ReLU()]
            channels = 512
        layers.append(nn.BatchNorm2d(512, **_NORM))
    layers += [nn.ConvTranspose2d(512, 256, 4, 2, 1), nn.ReLU()]
    for _ in range(2):
        layers += [nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(256, 313, 1))


def convolution_parameters(network):
    """Number of parameters in convolutions, transposed ones included."""
    convolutions = (m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)))
    return sum(p.numel() for m in convolutions for p in m.parameters())


def copy_weights(keras_model, network):
    """Give ``network`` the weights of the Keras model: both sides then compute the same function."""
    arrays = iter([np.asarray(v) for v in keras_model.weights])
    with torch.no_grad():
        for module in network:
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                # Keras: (rows, columns, in, out), or (rows, columns, out, in) transposed. PyTorch: the reverse order.
                module.weight.copy_(torch.tensor(next(arrays).transpose(3, 2, 0, 1)))
                module.bias.copy_(torch.tensor(next(arrays)))
            elif isinstance(module, nn.BatchNorm2d):
                for target in (module.weight, module.bias, module.running_mean, module.running_var):
                    target.copy_(torch.tensor(next(arrays)))
    if next(arrays, None) is not None:
        raise ValueError("the Keras model has more weights than the PyTorch network")


class ColorCrossEntropy(nn.Module):
    """Soft-target cross-entropy over the 313 bins, weighted by the rarity of the nearest bin; ab (B, h, w, 2)."""

    def __init__(self, centers, class_weights, neighbors, sigma):
        super().__init__()
        self.register_buffer("centers", torch.tensor(np.array(centers)))
        self.register_buffer("class_weights", torch.tensor(np.asarray(class_weights, dtype=np.float32)))
        self.neighbors, self.sigma = neighbors, sigma

    def forward(self, scores, ab):
        squared = torch.cdist(ab.reshape(-1, 2), self.centers).square()
        nearest, indices = squared.topk(self.neighbors, largest=False)
        weights = torch.softmax(-nearest / (2 * self.sigma**2), dim=-1)
        scores = scores.permute(0, 2, 3, 1).reshape(-1, len(self.centers))
        loss = scores.logsumexp(-1) - (weights * scores.gather(-1, indices)).sum(-1)
        loss = (loss * self.class_weights[indices[:, 0]]).reshape(ab.shape[0], -1)
        colored = ab.abs().amax(dim=(1, 2, 3)) > 5.0
        return (loss * colored[:, None]).mean()


class TorchStep:
    """One optimizer step a call, on one batch; ``channels_last`` is PyTorch's other memory layout."""

    def __init__(self, network, loss, lightness, ab, *, channels_last):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = network.to(memory_format=layout).train()
        self.loss = loss
        self.ab = torch.tensor(ab)
        self.lightness = torch.tensor(lightness).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        # The released solver, as the Keras side: Adam with decoupled decay. `fused` is PyTorch's fastest on a CPU.
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=3e-5, betas=(0.9, 0.99), eps=1e-7, weight_decay=1e-3, fused=True
        )

    def __call__(self):
        self.optimizer.zero_grad()
        loss = self.loss(self.network((self.lightness - 50.0) / 100.0), self.ab)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())
