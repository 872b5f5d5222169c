"""Random sampling KD with samples of a tempered law, value and gradient by PyTorch in float64, written from the equations of docs/methods.md:

    python tests/peers/make_draw_fixtures.py

writes tests/fixtures/losses/tempered-draws.json."""

import json
import pathlib

import torch

OUT = pathlib.Path(__file__).parents[1] / "fixtures" / "losses" / "tempered-draws.json"


def importance_loss(v, u, drawn, temperature, renormalised):
    """-sum_i t_i log q_i by a loop over single samples, t_i = p_i / s_i / N for each of them."""
    log_q, p, s = v.log_softmax(-1), u.softmax(-1), (u / temperature).softmax(-1)
    values = []
    for row, ids in enumerate(drawn.tolist()):
        worth = torch.stack([p[row, i] / s[row, i] for i in ids])
        target = worth / worth.sum() if renormalised else worth / len(ids)
        values.append(-sum(weight * log_q[row, i] for weight, i in zip(target, ids)))
    return torch.stack(values)


def main():
    generator = torch.Generator().manual_seed(17)
    rows, vocabulary, count = 5, 13, 9
    # The nearest float32: what both sides are given.
    u = (2.5 * torch.randn(rows, vocabulary, generator=generator)).double()
    v = torch.randn(rows, vocabulary, generator=generator).double().requires_grad_()
    cases = []
    for temperature in (0.5, 1.0, 2.0):
        law = (u / temperature).softmax(-1)
        drawn = torch.multinomial(law, count, replacement=True, generator=generator)
        for renormalised in (False, True):
            value = importance_loss(v, u, drawn, temperature, renormalised)
            (gradient,) = torch.autograd.grad(value.sum(), v)
            lists = [sorted({i: ids.count(i) for i in ids}.items()) for ids in drawn.tolist()]
            cases.append({
                "options": {"draws": count, "drawTemperature": temperature, "renormalised": renormalised},
                "draws": [[{"id": i, "count": n} for i, n in row] for row in lists],
                "value": value.tolist(),
                "gradient": gradient.tolist(),
            })
    fixture = {"vocabulary": vocabulary, "student": v.tolist(), "teacher": u.tolist(), "cases": cases}
    OUT.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
