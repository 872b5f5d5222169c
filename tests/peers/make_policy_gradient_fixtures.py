"""Writes tests/fixtures/losses/policy-gradients.json: MiniLLM and on-policy distillation by PyTorch in float64, written from their formulas:

    python tests/peers/make_policy_gradient_fixtures.py

One text; the student that wrote it is another than the one that learns. Of the gradient 16 of the largest entries in each row; at V = 49,152 both
sides compute the logits from sines."""

import json
import pathlib

import torch

from make_loss_fixtures import LARGE, at_target, best, divergence_of, finite, large_logits

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "losses" / "policy-gradients.json"


def surrogate(ratio, advantage, clip):
    """PPO: what is minimised."""
    if clip is None:
        return -ratio * advantage
    return torch.maximum(-ratio * advantage, -ratio.clamp(1 - clip, 1 + clip) * advantage)


def minillm(u, v, targets, old, options):
    """r = log p − log q0, scaled and clipped; A its discounted sum over what is left of the text by its number, whitened; ratio·weight; exact single step."""
    log_p = finite(at_target(u.log_softmax(-1), targets))
    log_q = at_target(v.log_softmax(-1), targets)
    mix = options.get("mix", 0.0)
    weight = old.exp() / (mix * log_p.exp() + (1 - mix) * old.exp())
    clipped = ((log_p - old) / options.get("rewardScale", 0.5)).clamp(-options.get("clipReward", 100), options.get("clipReward", 100))
    skip = 1 if options.get("horizon") == "next" else 0
    advantages = []
    for t in range(len(clipped)):
        left = clipped[t + skip :]
        total = sum(options.get("discount", 0.95) ** i * reward for i, reward in enumerate(left))
        advantages.append(total / max(len(left), 1) if options.get("lengthNormalised", True) else total)
    advantage = torch.stack([torch.as_tensor(a, dtype=torch.float64) for a in advantages])
    if options.get("whiten", True):
        advantage = (advantage - advantage.mean()) / (advantage.var(unbiased=False) + 1e-8).sqrt()
    ratio = weight * (log_q - old).exp()
    single = divergence_of(u, v, options, "reverse-kl")
    return surrogate(ratio, advantage, options.get("clip", 0.2)) + options.get("singleStep", 1.0) * weight * single


def sampled_reverse_kl(u, v, targets, old, options):
    log_p = finite(at_target(u.log_softmax(-1), targets))
    log_q = at_target(v.log_softmax(-1), targets)
    advantage = -options.get("scale", 1.0) * (old - log_p)
    return surrogate((log_q - old).exp(), advantage, options.get("clip"))


CASES = [
    (minillm, {"dense": True}),
    (minillm, {"topK": 4, "mix": 0.2}),
    (minillm, {"dense": True, "mix": 0.3, "horizon": "next", "whiten": False, "clip": None, "discount": 0.7, "rewardScale": 2, "clipReward": 1, "singleStep": 0.4}),
    (minillm, {"topK": 4, "lengthNormalised": False, "discount": 1, "temperature": 2}),
    (sampled_reverse_kl, {"ratio": "old"}),
    (sampled_reverse_kl, {"ratio": "old", "clip": 0.2, "scale": 1.5}),
]


def main():
    generator = torch.Generator().manual_seed(29)
    groups = []
    for vocabulary in (11, 257, LARGE):
        large = vocabulary == LARGE
        u, v = (large_logits(0), large_logits(0.5)) if large else (2 * torch.randn(5, vocabulary, generator=generator) for _ in range(2))
        targets = best(u, 1)[:, 0] if large else torch.randint(0, vocabulary, (5,), generator=generator)
        if not large:
            u[1, 3] = -torch.inf
        written = v + 0.5 * torch.sin(torch.arange(vocabulary)) if not large else v * 0.95
        old = at_target(written.double().log_softmax(-1), targets).float()
        rounded = lambda x: [[float(f"{number:.9g}") for number in row] for row in x.tolist()]
        group = {"vocabulary": vocabulary, "targets": targets.tolist(), "old": old.tolist(), "cases": []}
        if not large:
            logits = [[None if x == -torch.inf else x for x in row] for row in rounded(u.double())]
            group |= {"student": rounded(v.double()), "teacher": logits}
        for method, options in CASES:
            student = v.double().requires_grad_()
            value = method(u.double(), student, targets, old.double(), options)
            (gradient,) = torch.autograd.grad(value.sum(), student)
            own = {"name": method.__name__.replace("_", "-"), "options": options, "value": value.tolist()}
            ids = best(gradient.abs(), min(16, vocabulary))
            group["cases"].append(own | {"ids": ids.tolist(), "gradient": rounded(gradient.gather(1, ids))})
        groups.append(group)
    OUT.write_text("[\n" + ",\n".join(map(json.dumps, groups)) + "\n]\n")


if __name__ == "__main__":
    main()
