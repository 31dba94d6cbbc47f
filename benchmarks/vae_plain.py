"""A VAE as a user of PyTorch would write it, beside which this package is measured."""

import torch
from torch import nn
from torch.nn import functional


class PlainLoop:
    """Dense networks of two hidden layers, Bernoulli, one sample, Adam as it comes."""

    def __init__(self, d, h, q, activation, rate=1e-3, seed=0):
        torch.manual_seed(seed)
        self.encoder, self.decoder = (
            nn.Sequential(
                nn.Linear(n_inputs, h),
                activation(),
                nn.Linear(h, h),
                activation(),
                nn.Linear(h, n_outputs),
            )
            for n_inputs, n_outputs in ((d, 2 * q), (q, d))
        )
        self.optimizer = torch.optim.Adam(
            [*self.encoder.parameters(), *self.decoder.parameters()], rate
        )

    def epoch(self, rows, batch, draw):
        """One pass over the rows; ``draw`` makes ones and zeros of some."""
        for index in torch.randperm(len(rows)).split(batch):
            x = draw(rows[index])
            mean, log_var = self.encoder(x).chunk(2, dim=1)
            t = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            fit = functional.binary_cross_entropy_with_logits(self.decoder(t), x, reduction="sum")
            kl = 0.5 * (mean**2 + log_var.exp() - log_var - 1).sum()
            self.optimizer.zero_grad()
            ((fit + kl) / len(x)).backward()
            self.optimizer.step()
