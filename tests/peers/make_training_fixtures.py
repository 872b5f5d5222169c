"""Writes tests/fixtures/training: losses, whole-model gradients and twenty AdamW steps, as PyTorch computes them.

    python tests/peers/make_training_fixtures.py

Needs tests/fixtures/models (make_tiny_models.py). Losses are computed in float64 over merged probability vectors, not in the way the
product computes them; the models run in float64 too, except for the twenty steps, which are PyTorch's float32.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
OUT = HERE / "training"
IMPOSSIBLE = -100.0  # what a student pays per unit of mass where the teacher has none


def save(name, tensors):
    save_file({key: value.detach().to(value.dtype).contiguous() for key, value in tensors.items()}, OUT / name)


# ── losses ──


def case_logits(vocabulary, generator):
    """Rows: ordinary, ordinary, equal logits, teacher = student, extremes, a teacher with -inf, a student far from the teacher."""
    rows = 7
    student = torch.randn(rows, vocabulary, generator=generator) * 2
    teacher = torch.randn(rows, vocabulary, generator=generator) * 3
    student[2] = 0.5
    teacher[2] = -1.25
    teacher[3] = student[3]
    student[4, 1] = 60
    teacher[4, 2] = 60
    teacher[5, ::3] = -torch.inf
    student[6] = -teacher[6]
    return student, teacher


def top_list(teacher, k):
    """By falling logit, ties by rising id."""
    return torch.sort(teacher, dim=-1, descending=True, stable=True).indices[:, :k]


def atoms(logits, ids, vocabulary):
    """Probabilities over the ids and the rest: log-softmax over everything, then the others' logarithms summed."""
    log_probabilities = torch.log_softmax(logits, -1)
    if ids is None or ids.shape[1] == vocabulary:
        return log_probabilities if ids is None else log_probabilities.gather(1, ids)
    others = torch.ones_like(log_probabilities).scatter(1, ids, 0).bool()
    rest = torch.stack([torch.logsumexp(row[mask], 0) for row, mask in zip(log_probabilities, others)])
    return torch.cat([log_probabilities.gather(1, ids), rest[:, None]], 1)


def divergence(name, student, teacher, ids, tau, beta):
    vocabulary = student.shape[1]
    log_q = atoms(student / tau, ids, vocabulary)
    log_p = atoms(teacher / tau, ids, vocabulary)
    p, q = log_p.exp(), log_q.exp()
    log_p = torch.where(torch.isinf(log_p), torch.full_like(log_p, IMPOSSIBLE), log_p)
    kl = lambda a, log_a, log_b: (a * (log_a - log_b)).sum(-1)
    if name == "forward-kl" or (name == "generalized-jsd" and beta == 0):
        return kl(p, log_p, log_q)
    if name == "reverse-kl" or (name == "generalized-jsd" and beta == 1):
        return kl(q, log_q, log_p)
    log_m = torch.logaddexp(log_p + torch.tensor(beta).double().log(), log_q + torch.tensor(1 - beta).double().log())
    return beta * kl(p, log_p, log_m) + (1 - beta) * kl(q, log_q, log_m)


def loss_cases(vocabulary):
    lists = [{"topK": 1}, {"topK": 4}, {"topK": vocabulary - 1}, {"topK": vocabulary}, {"dense": True}]
    if vocabulary > 100:
        lists = [{"topK": 16}, {"dense": True}]
    for options in lists:
        for tau in (1.0, 2.5):
            for name in ("forward-kl", "reverse-kl"):
                yield name, options, tau, None
            for beta in (0.1, 0.5) if vocabulary > 100 else (0.0, 0.1, 0.5, 1.0):
                yield "generalized-jsd", options, tau, beta


def make_losses():
    generator = torch.Generator().manual_seed(11)
    for vocabulary in (11, 257):
        student, teacher = case_logits(vocabulary, generator)
        targets = torch.randint(0, vocabulary, (student.shape[0],), generator=generator)
        tensors = {"student": student, "teacher": teacher, "targets": targets.float()}
        for tau in (1.0, 2.5):
            tensors[f"lse.{tau}"] = torch.logsumexp(teacher.double() / tau, -1).float()
        cases = []
        for index, (name, options, tau, beta) in enumerate(loss_cases(vocabulary)):
            logits = student.double().requires_grad_()
            ids = top_list(teacher, options["topK"]) if "topK" in options else None
            value = divergence(name, logits, teacher.double(), ids, tau, beta)
            (gradient,) = torch.autograd.grad(value.sum(), logits)
            tensors[f"{index}.value"], tensors[f"{index}.gradient"] = value.float(), gradient.float()
            if ids is not None and ids.shape[1] < vocabulary:
                tensors[f"{index}.logTail"] = atoms(teacher.double() / tau, ids, vocabulary)[:, -1].float()
            temperature = {} if tau == 1 else {"temperature": tau}
            cases.append({"name": name, **options, **temperature, **({} if beta is None else {"beta": beta})})
        logits = student.double().requires_grad_()
        value = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        tensors[f"{len(cases)}.value"], tensors[f"{len(cases)}.gradient"] = value.float(), gradient.float()
        cases.append({"name": "cross-entropy"})
        save(f"losses-{vocabulary}.safetensors", tensors)
        (OUT / f"losses-{vocabulary}.json").write_text(json.dumps(cases, indent=0) + "\n")


# ── whole models ──

MODELS = ("llama-tied", "llama-bias", "qwen3", "gpt2")


def load(name, dtype):
    model = AutoModelForCausalLM.from_pretrained(HERE / "models" / name, dtype=torch.float32, attn_implementation="eager")
    return model.to(dtype)


def token_rows(generator, vocabulary, lengths):
    """[prompt length, tokens] pairs. Without id 2: it is the models' pad_token_id, whose embedding gets no gradient in torch.nn.Embedding."""
    return [
        [prompt, torch.randint(3, vocabulary, (prompt + response,), generator=generator).tolist()]
        for prompt, response in lengths
    ]


def response_logits(model, prompt, tokens):
    logits = model(torch.tensor([tokens])).logits[0]
    return logits[prompt - 1 : -1], torch.tensor(tokens[prompt:])


def token_mean_cross_entropy(model, rows):
    count = sum(len(tokens) - prompt for prompt, tokens in rows)
    losses = [torch.nn.functional.cross_entropy(*response_logits(model, *row), reduction="sum") for row in rows]
    return sum(losses) / count


def make_gradients():
    generator = torch.Generator().manual_seed(12)
    rows = token_rows(generator, 97, [(3, 9), (1, 4), (5, 12), (2, 1)])
    for name in MODELS:
        model = load(name, torch.float64)
        loss = token_mean_cross_entropy(model, rows)
        loss.backward()
        tensors = {key: value.grad.float() for key, value in model.named_parameters()}
        tensors["loss"] = loss.detach().float().reshape(1)
        save(f"gradients-{name}.safetensors", tensors)
    (OUT / "gradients.json").write_text(json.dumps({"models": MODELS, "rows": rows}) + "\n")


STEPS = 20
WARMUP = 5


def make_steps():
    generator = torch.Generator().manual_seed(13)
    batches = [token_rows(generator, 97, [(3, 9), (2, 6), (4, 11)]) for _ in range(4)]
    model = load("llama-tied", torch.float32)
    matrices = [value for value in model.parameters() if value.ndim > 1]
    vectors = [value for value in model.parameters() if value.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.98), eps=1e-8)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / WARMUP, 1, WARMUP - 1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS - WARMUP)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], [WARMUP])
    curve = []
    for step in range(STEPS):
        loss = token_mean_cross_entropy(model, batches[step % len(batches)])
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        curve.append({"loss": loss.item(), "gradNorm": norm.item(), "learningRate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
    save("steps.safetensors", dict(model.named_parameters()))
    (OUT / "steps.json").write_text(json.dumps({"batches": batches, "curve": curve}) + "\n")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    make_losses()
    make_gradients()
    make_steps()
