"""Writes tests/fixtures/losses/hidden: losses on hidden states, values and gradients as PyTorch computes them in float64.

    python tests/peers/make_hidden_loss_fixtures.py

Written from the papers' formulas, with torch.nn's own losses where there is one; one sequence of n positions. Gradients are autograd's, of
the sum over positions, by the student's states and by the projections.
"""

import json
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "losses"
N, D_S, D_T, L_S, L_T = 5, 16, 24, 2, 3


def hidden_states(student, teacher, weights, options):
    pairs = options.get("pairs", [[L_S, L_T]])
    total = 0
    for at, (own, other) in enumerate(pairs):
        state, target = student[own], teacher[other]
        if options.get("projection") != "none":
            state = state @ weights[f"projection.{0 if options.get('projection') == 'shared' else at}"]
        if options.get("distance") == "cosine":
            total = total + F.cosine_embedding_loss(state, target, torch.ones(N), reduction="none")
        else:
            total = total + F.mse_loss(state, target, reduction="none").mean(-1)
    return total / len(pairs)


def kd_nas(student, teacher, weights, options):
    total = 0
    for i in range(1, L_S + 1):
        uniform = i * L_T // L_S if options.get("mapping") != "zero-based" else (i - 1) * L_T // L_S + 1
        target = torch.cat([teacher[uniform], teacher[L_T - L_S + i]], -1)
        weight = weights[f"projection.{i - 1 if options.get('projection') == 'per-layer' else 0}"]
        total = total + F.mse_loss(student[i] @ weight, target, reduction="none").mean(-1)
    return total / L_S


def hidden_relations(student, teacher, weights, options):
    heads = options["heads"]
    x, y = student[options.get("studentLayer", L_S)], teacher[options.get("teacherLayer", L_T)]
    total = 0
    for a in range(heads):
        logs = []
        for state in (x, y):
            if options.get("normalised", True):
                state = state / (state.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
            part = state.chunk(heads, -1)[a]
            logs.append(torch.log_softmax(part @ part.T / part.shape[-1] ** 0.5, -1))
        total = total + F.kl_div(logs[0], logs[1], reduction="none", log_target=True).sum(-1)
    return total / heads


CASES = [
    (hidden_states, {}),
    (hidden_states, {"pairs": [[0, 0], [1, 2], [2, 3]]}),
    (hidden_states, {"pairs": [[1, 1], [2, 2]], "projection": "shared", "distance": "cosine"}),
    (kd_nas, {}),
    (kd_nas, {"mapping": "zero-based", "projection": "per-layer"}),
    (hidden_relations, {"heads": 4}),
    (hidden_relations, {"heads": 2, "studentLayer": 1, "teacherLayer": 2, "normalised": False}),
]


def shapes(method, options):
    if method is hidden_relations:
        return []
    if method is kd_nas:
        return [(D_S, 2 * D_T)] * (L_S if options.get("projection") == "per-layer" else 1)
    return [(D_S, D_T)] * (1 if options.get("projection") == "shared" else len(options.get("pairs", [0])))


def main():
    generator = torch.Generator().manual_seed(33)
    randn = lambda *shape: torch.randn(*shape, generator=generator)
    student_states = [randn(N, D_S) for _ in range(L_S + 1)]
    teacher_states = [randn(N, D_T) * 1.5 for _ in range(L_T + 1)]
    teacher_states = [state.half().float() for state in teacher_states]
    tensors = {f"student.{i}": state for i, state in enumerate(student_states)}
    tensors |= {f"teacher.{i}": state for i, state in enumerate(teacher_states)}
    listing = []
    for index, (method, options) in enumerate(CASES):
        student = [state.double().requires_grad_() for state in student_states]
        teacher = [state.double() for state in teacher_states]
        weights = {f"projection.{i}": randn(*shape) / 4 for i, shape in enumerate(shapes(method, options))}
        tensors |= {f"{index}.{name}": weight for name, weight in weights.items()}
        weights = {name: weight.double().requires_grad_() for name, weight in weights.items()}
        value = method(student, teacher, weights, options)
        leaves = {f"student.{i}": state for i, state in enumerate(student)} | weights
        gradients = torch.autograd.grad(value.sum(), list(leaves.values()), allow_unused=True)
        tensors[f"{index}.value"] = value.detach().float()
        for name, gradient in zip(leaves, gradients):
            if gradient is not None:
                tensors[f"{index}.gradient.{name}"] = gradient.float()
        listing.append({"name": method.__name__.replace("_", "-"), "options": options, "parameters": list(weights)})
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, OUT / "hidden.safetensors")
    (OUT / "hidden.json").write_text("[\n" + ",\n".join(map(json.dumps, listing)) + "\n]\n")


if __name__ == "__main__":
    main()
