"""Writes tests/fixtures/losses/itkd.json: instance-temperature KD with an agent that does not explore, by PyTorch in float64, written from
docs/methods.md:

    python tests/peers/make_itkd_fixtures.py

At V = 11 and 257 all of the gradient, at V = 49,152, where both sides compute the logits from sines, 16 of its largest entries in each row."""

import json
import pathlib

import torch

from make_loss_fixtures import LARGE, best, kl, large_logits

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "losses" / "itkd.json"
OPTIONS = {"exploration": 0, "minimum": 0.5, "maximum": 6, "initial": [0.4, -1.5, 2, 0.7]}


def itkd(u, v, progress):
    p, q = u.softmax(-1), v.detach().softmax(-1)
    entropy = -torch.xlogy(p, p).sum(-1)
    state = torch.stack([torch.ones(len(u)), torch.minimum(p, q).sum(-1), entropy, torch.full((len(u),), progress)], -1)
    action = state.double() @ torch.tensor(OPTIONS["initial"]).double()
    span = OPTIONS["maximum"] - OPTIONS["minimum"]
    temperature = (OPTIONS["minimum"] + span * torch.sigmoid(action))[:, None]
    value = kl((u / temperature).log_softmax(-1), (v / temperature).log_softmax(-1))
    return temperature[:, 0] ** 2 * value


def main():
    generator = torch.Generator().manual_seed(23)
    cases = []
    for vocabulary in (11, 257, LARGE):
        if vocabulary == LARGE:
            u, v = large_logits(0), large_logits(0.5)
        else:
            u, v = (2 * torch.randn(4, vocabulary, generator=generator) for _ in range(2))
            u[1, 3] = -torch.inf
        v = v.double().requires_grad_()
        progress = 0.25
        value = itkd(u.double(), v, progress)
        (gradient,) = torch.autograd.grad(value.sum(), v)
        rounded = lambda x: [[float(f"{number:.9g}") for number in row] for row in x.tolist()]
        own = {"vocabulary": vocabulary, "options": OPTIONS, "progress": progress, "value": value.tolist()}
        if vocabulary == LARGE:
            ids = best(gradient.abs(), 16)
            own |= {"ids": ids.tolist(), "gradient": rounded(gradient.gather(1, ids))}
        else:
            logits = [[None if x == -torch.inf else x for x in row] for row in u.double().tolist()]
            own |= {"student": v.tolist(), "teacher": logits, "gradient": rounded(gradient)}
        cases.append(own)
    OUT.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


if __name__ == "__main__":
    main()
