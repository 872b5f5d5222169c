"""Writes tests/fixtures/losses/attention-relations.json: MiniLMv2's relation loss by PyTorch in float64, head by head from its formula, between
queries, keys and values of different widths:

    python tests/peers/make_relation_fixtures.py
"""

import json
import pathlib

import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "losses" / "attention-relations.json"
N = 5
WIDTHS = {"student": {"queries": 16, "keys": 8, "values": 8}, "teacher": {"queries": 24, "keys": 12, "values": 12}}
CASES = [
    {"heads": 4},
    {"heads": 2, "relations": ["values"]},
    {"heads": 4, "relations": ["queries", "keys"], "normalised": True},
]


def relations(state, heads, normalised):
    if normalised:
        state = state / (state.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
    return [part @ part.T / part.shape[-1] ** 0.5 for part in state.chunk(heads, -1)]


def main():
    generator = torch.Generator().manual_seed(41)
    # Signals travel as float16.
    draw = lambda width: torch.randn(N, width, generator=generator).half().double()
    states = {whose: {kind: draw(width) for kind, width in own.items()} for whose, own in WIDTHS.items()}
    cases = []
    for options in CASES:
        student = {kind: state.clone().requires_grad_() for kind, state in states["student"].items()}
        total = torch.zeros(N).double()
        for kind in options.get("relations", WIDTHS["student"]):
            own = relations(student[kind], options["heads"], options.get("normalised", False))
            other = relations(states["teacher"][kind], options["heads"], options.get("normalised", False))
            for q, p in zip(own, other):
                kl = F.kl_div(q.log_softmax(-1), p.log_softmax(-1), reduction="none", log_target=True).sum(-1)
                total = total + kl / options["heads"]
        gradients = torch.autograd.grad(total.sum(), list(student.values()), allow_unused=True)
        named = {kind: own.tolist() for kind, own in zip(student, gradients) if own is not None}
        cases.append({"options": options, "value": total.tolist(), "gradient": named})
    listed = {whose: {kind: state.tolist() for kind, state in own.items()} for whose, own in states.items()}
    OUT.write_text(json.dumps({"states": listed, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
