"""Writes tests/fixtures/losses/modules: losses that own a module or relate positions, as PyTorch computes them in float64.

    python tests/peers/make_module_loss_fixtures.py

Written row by row from docs/methods.md, over explicit groups of ids. Gradients are autograd's, of the sum over positions, by the student's
logits and by the loss's own parameters.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file

from make_loss_fixtures import LARGE, best as best_of_rows, large_logits, pearson, soft_rank

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "losses"
N, D_T = 6, 24


def best(u, k):
    return torch.sort(u, descending=True, stable=True).indices[:k].tolist()


def groups_of(u, k):
    """The k best ids one by one, and everything else."""
    ids = best(u, k)
    rest = [index for index in range(len(u)) if index not in ids]
    return [[index] for index in ids] + ([rest] if rest else [])


def grouped(log_law, groups):
    return torch.stack([torch.logsumexp(log_law[group], 0) for group in groups])


def kl(log_a, log_b):
    return (log_a.exp() * (log_a - log_b)).sum(-1)


def okd(case, options):
    down, up = case.parameters["down"], case.parameters["up"]
    rows = []
    for u, v, h, target in zip(case.u, case.v, case.hidden, case.targets.tolist()):
        groups = [[index] for index in range(len(u))] if options.get("dense") else groups_of(u, options["topK"])
        h = h / (h.pow(2).mean() + 1e-6).sqrt()
        delta = torch.stack([up[group[0]] @ (h @ down) if len(group) == 1 else torch.zeros(()).double() for group in groups])
        p, q = grouped(u.log_softmax(-1), groups), grouped(v.log_softmax(-1), groups)
        moved = (p + delta).log_softmax(-1)
        token = next(index for index, group in enumerate(groups) if target in group)
        rows.append(
            kl(moved.detach(), q)
            - options.get("labels", 1.0) * moved[token]
            + options.get("towardsStudent", 1.0) * kl(moved, q.detach())
            + options.get("anchor", 1.0) * kl(p, moved)
        )
    return torch.stack(rows)


def dac_kl(case, options):
    P = case.parameters
    floor, edge, m = options.get("floor", 0.5), options.get("sharpness", 0.05), options["features"]
    rows = []
    for u, v, target in zip(case.u, case.v, case.targets.tolist()):
        groups = groups_of(u, options["topK"])
        log_p, log_q = grouped(u.log_softmax(-1), groups), grouped(v.log_softmax(-1), groups)
        x = torch.cat([log_p[:m], log_q[:m].detach()]).clamp(min=-30)
        out = torch.sigmoid(torch.tanh(x @ P["network.0.weight"] + P["network.0.bias"]) @ P["network.1.weight"] + P["network.1.bias"])
        lower = (1 - floor) * out[0]
        upper = lower + floor + (1 - floor - lower) * out[1]
        above = log_p.exp().cumsum(0)
        below = above - log_p.exp()
        hard = ((above >= lower) & (below <= upper)).double()
        smooth = torch.sigmoid((above - lower) / edge) * torch.sigmoid((upper - below) / edge)
        kept = hard + smooth - smooth.detach()
        token = torch.tensor([float(target in group) for group in groups]).double()
        kept = token + (1 - token) * kept
        p, q = kept * log_p.exp(), kept * log_q.exp()
        rows.append((p * (log_p - log_q)).sum() / p.sum() + q.sum().log() - p.sum().log())
    return torch.stack(rows)


def span_products(case, options):
    length = options["length"]
    count = len(case.u)
    pairs = [t for t in range(count - 1) if (t + 1) % length != 0]
    log_p, log_q = case.u.log_softmax(-1), case.v.log_softmax(-1)
    rows = [torch.zeros(()).double()] * count
    for t in pairs:
        p, q = log_p[t].exp() * log_p[t + 1].exp(), log_q[t].exp() * log_q[t + 1].exp()
        rows[t] = kl((p / p.sum()).log(), (q / q.sum()).log()) * count / len(pairs)
    return torch.stack(rows)


def swing(case, options):
    rows = []
    for u, v, target in zip(case.u, case.v, case.targets.tolist()):
        log_p, log_q = u.log_softmax(-1), v.log_softmax(-1)
        gap = log_p[target] - log_q[target].detach()
        private = torch.sigmoid((gap - options["gap"]) / options["width"])
        if target in options.get("privateIds", []):
            private = torch.ones(()).double()
        groups = groups_of(u, options["topK"])
        p, q = grouped(log_p, groups), grouped(log_q, groups)
        k = options["topK"]
        temperature = 1 + (options["temperature"] - 1) * private
        blurred = (p[:k] / temperature).log_softmax(-1) + p[:k].logsumexp(0)
        rows.append(kl(torch.cat([blurred, p[k:]]), q))
    return torch.stack(rows)


def cmkd(case, options):
    rows = []
    for u, v in zip(case.u, case.v):
        union = sorted(set(best(u, options["k"])) | set(best(v.detach(), options["k"])))
        standard = lambda x: (x - x.mean()) / (x.var(unbiased=False) + 1e-6).sqrt()
        a, b = standard(u[union]), standard(v[union])
        strength = options.get("strength", 0.5)
        h = torch.distributions.Categorical(logits=u).entropy() / torch.tensor(float(len(u))).log()
        rows.append(h * (1 - pearson(soft_rank(a, strength), soft_rank(b, strength))) + (1 - h) * (1 - pearson(a, b)))
    return torch.stack(rows)


CASES = [
    (cmkd, {"k": 4}),
    (cmkd, {"k": 6, "dense": True, "strength": 1.5}),
    (okd, {"topK": 4, "rank": 3}),
    (okd, {"dense": True, "rank": 2, "labels": 0.3, "towardsStudent": 0.7, "anchor": 2}),
    (dac_kl, {"topK": 5, "features": 4, "hidden": 3}),
    (dac_kl, {"topK": 11, "features": 2, "hidden": 3, "floor": 0.2, "sharpness": 0.3}),
    (span_products, {"length": 3}),
    (span_products, {"length": 4}),
    (swing, {"topK": 4, "noise": 0, "gap": 1, "width": 0.5, "temperature": 5}),
    (swing, {"topK": 4, "noise": 0, "gap": 50, "width": 0.5, "temperature": 5, "privateIds": [1, 2, 3]}),
]


class Case:
    pass


def parameters(method, options, vocabulary, randn):
    if method is okd:
        return {"down": randn(D_T, options["rank"]) / 5, "up": randn(vocabulary, options["rank"]) / 2}
    if method is dac_kl:
        inputs, hidden = 2 * options["features"], options["hidden"]
        return {
            "network.0.weight": randn(inputs, hidden) / 3,
            "network.0.bias": randn(hidden) / 3,
            "network.1.weight": randn(hidden, 2),
            "network.1.bias": randn(2),
        }
    return {}


LARGE_CASES = [
    (cmkd, {"k": 8}),
    (okd, {"topK": 16, "rank": 2}),
    (dac_kl, {"topK": 16, "features": 4, "hidden": 3}),
    (span_products, {"length": 2}),
    (swing, {"topK": 32, "noise": 0, "gap": -1, "width": 0.5, "temperature": 5}),
]


def sines(shape, salt):
    """Numbers that any language computes alike, exact in half precision."""
    at = torch.arange(torch.tensor(shape).prod().item()).double()
    return (torch.sin(1.7 * at + salt) * 64).round().reshape(shape) / 64


def make_large():
    """Values, and of each gradient Σ|x| and 16 of its largest entries."""
    listing = []
    u, v = large_logits(0).double(), large_logits(0.5).double()
    targets = torch.tensor([best(u[0], 1)[0], best(u[1], 3)[2]])
    for method, options in LARGE_CASES:
        case = Case()
        case.targets, case.u, case.v, case.hidden = targets, u, v.clone().requires_grad_(), sines((2, D_T), 1)
        randn = lambda *shape: torch.zeros(*shape)
        shapes = {name: list(own.shape) for name, own in parameters(method, options, LARGE, randn).items()}
        case.parameters = {name: (sines(shape, len(name)) / 4).requires_grad_() for name, shape in shapes.items()}
        value = method(case, options)
        leaves = {"logits": case.v} | case.parameters
        gradients = []
        for name, gradient in zip(leaves, torch.autograd.grad(value.sum(), list(leaves.values()))):
            flat = gradient.flatten()
            at = best_of_rows(flat.abs()[None], min(16, len(flat)))[0]
            gradients.append({"of": name, "at": at.tolist(), "values": flat[at].tolist(), "magnitude": flat.abs().sum().item()})
        name = method.__name__.replace("_", "-")
        listing.append({"name": name, "options": options, "shapes": shapes, "value": value.tolist(), "gradients": gradients})
    cases = ",\n".join(map(json.dumps, listing))
    (OUT / f"modules-{LARGE}.json").write_text(f'{{"targets": {targets.tolist()}, "cases": [\n{cases}\n]}}\n')


def main():
    make_large()
    for vocabulary in (11, 257):
        generator = torch.Generator().manual_seed(35)
        randn = lambda *shape: torch.randn(*shape, generator=generator)
        u, v, hidden = randn(N, vocabulary) * 2, randn(N, vocabulary) * 1.5, (randn(N, D_T) * 2).half().float()
        targets = torch.tensor([best(u[0], 1)[0], 1, 2, 3, best(u[4], 2)[1], vocabulary - 1])
        tensors = {"student": v, "teacher": u, "hidden": hidden, "targets": targets.float()}
        listing = []
        for method, options in CASES:
            index = len(listing)
            case = Case()
            case.targets, case.u, case.v, case.hidden = targets, u.double(), v.double().requires_grad_(), hidden.double()
            given = parameters(method, options, vocabulary, randn)
            tensors |= {f"{index}.{name}": value for name, value in given.items()}
            case.parameters = {name: value.double().requires_grad_() for name, value in given.items()}
            value = method(case, options)
            leaves = {"logits": case.v} | case.parameters
            gradients = torch.autograd.grad(value.sum(), list(leaves.values()))
            tensors[f"{index}.value"] = value.detach().float()
            tensors |= {f"{index}.gradient.{name}": gradient.float() for name, gradient in zip(leaves, gradients)}
            name = method.__name__.replace("_", "-")
            listing.append({"name": name, "options": options, "parameters": list(given)})
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, OUT / f"modules-{vocabulary}.safetensors")
        (OUT / f"modules-{vocabulary}.json").write_text("[\n" + ",\n".join(map(json.dumps, listing)) + "\n]\n")


if __name__ == "__main__":
    main()
