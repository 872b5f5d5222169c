"""Writes tests/fixtures/losses/several-teachers.json: losses with several teachers, and cross-entropy, by PyTorch in float64, from their formulas:

    python tests/peers/make_several_teacher_fixtures.py

Both sides compute the logits from sines; the second teacher cannot say the ids in `impossible`. Of the gradient 16 of the largest entries in each row
and the sum of all magnitudes."""

import json
import pathlib

import torch

from make_loss_fixtures import LARGE, at_target, best, finite, kl, merged

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "losses" / "several-teachers.json"
TEACHERS = 3


def sine_logits(phase, rows, vocabulary):
    """Peaks over a flat floor, in float32."""
    i = torch.arange(vocabulary).double()
    waves = [4 * torch.sin(0.7 * i + row + phase) + 5 * torch.sin(0.0013 * i * i + row + phase) for row in range(rows)]
    return torch.stack([0.02 * wave**3 for wave in waves]).float()


def weights_of(us, targets, options):
    """[teachers, n], of each position."""
    how, sharpness = options.get("weights", "equal"), options.get("sharpness", 1.0)
    if isinstance(how, list):
        return torch.tensor(how).double()[:, None].expand(-1, len(targets)) / sum(how)
    if how == "equal":
        return torch.full((len(us), len(targets)), 1 / len(us)).double()
    if how == "confidence":
        entropies = torch.stack([torch.distributions.Categorical(probs=u.softmax(-1)).entropy() for u in us])
        return (-sharpness * entropies).softmax(0)
    return (sharpness * torch.stack([finite(at_target(u.log_softmax(-1), targets)) for u in us])).softmax(0)


def of_lists(u, v, k):
    """KL(p ‖ q) over one teacher's k best ids and everything else."""
    ids = best(u, k)
    return kl(merged(u, ids), merged(v, ids))


def teacher_mixture(us, v, targets, options):
    """KL(p̄ ‖ q) or KL(q ‖ p̄), p̄ = Σ w_i p_i; with lists Σ w_i KL(p_i ‖ q)."""
    weights = weights_of(us, targets, options)
    if not options.get("dense"):
        return sum(w * of_lists(u, v, options["topK"]) for w, u in zip(weights, us))
    mixture = sum(w[:, None] * u.softmax(-1) for w, u in zip(weights, us))
    log_q = v.log_softmax(-1)
    if options.get("divergence") == "reverse-kl":
        return kl(log_q, finite(mixture.log()))
    return kl(mixture.log(), log_q)


def ces_kd(us, v, targets, options):
    """One text: the middle of all difficulties, moved by the shift."""
    u = us[min(len(us) - 1, max(0, int((0.5 + options["shift"]) * len(us) // 1)))]
    if not options.get("dense"):
        return of_lists(u, v, options["topK"])
    return kl(u.log_softmax(-1), v.log_softmax(-1))


def cross_entropy(us, v, targets, options):
    return torch.nn.functional.cross_entropy(v, targets, reduction="none")


def cases(k):
    yield cross_entropy, {}
    for options in ({"topK": k}, {"dense": True}):
        yield teacher_mixture, options
        yield teacher_mixture, {**options, "weights": "confidence", "sharpness": 2}
        yield teacher_mixture, {**options, "weights": "token"}
        yield teacher_mixture, {**options, "weights": [2, 0, 6]}
    yield teacher_mixture, {"dense": True, "divergence": "reverse-kl"}
    yield teacher_mixture, {"dense": True, "divergence": "reverse-kl", "weights": "token", "sharpness": 0.5}
    yield ces_kd, {"topK": k, "shift": -0.4}
    yield ces_kd, {"topK": k, "shift": 0}
    yield ces_kd, {"dense": True, "shift": 0.5}


def main():
    groups = []
    for vocabulary, rows, k in ((11, 5, 4), (257, 5, 16), (LARGE, 2, 64)):
        us = [sine_logits(phase, rows, vocabulary).double() for phase in range(TEACHERS)]
        impossible = [[0, 3], [rows - 1, 0]]
        for row, token in impossible:
            us[1][row, token] = -torch.inf
        targets = torch.tensor([3, *best(us[0], 2)[1:, 1].tolist()])
        listing = []
        for method, options in cases(k):
            v = sine_logits(0.5, rows, vocabulary).double().requires_grad_()
            value = method(us, v, targets, options)
            (gradient,) = torch.autograd.grad(value.sum(), v)
            assert value.isfinite().all() and gradient.isfinite().all(), (method.__name__, options)
            ids = best(gradient.abs(), min(16, vocabulary))
            rounded = lambda row: [float(f"{number:.9g}") for number in row]
            listing.append({
                "name": method.__name__.replace("_", "-"),
                "options": options,
                "value": rounded(value.tolist()),
                "ids": ids.tolist(),
                "gradient": [rounded(row) for row in gradient.gather(1, ids).tolist()],
                "magnitude": rounded(gradient.abs().sum(-1).tolist()),
            })
        head = {"vocabulary": vocabulary, "teachers": TEACHERS, "impossible": impossible, "targets": targets.tolist()}
        groups.append(json.dumps(head)[:-1] + ', "cases": [\n' + ",\n".join(map(json.dumps, listing)) + "\n]}")
    OUT.write_text("[\n" + ",\n".join(groups) + "\n]\n")


if __name__ == "__main__":
    main()
