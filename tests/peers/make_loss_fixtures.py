"""Writes tests/fixtures/losses: value and gradient of every loss as PyTorch computes them in float64.

    python tests/peers/make_loss_fixtures.py

Each method is written from its formula over whole probability vectors, one row at a time where that is plainer, and not in the way the
product computes it. Gradients are autograd's, of the sum over positions.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "losses"
IMPOSSIBLE = -100.0  # a teacher's log-probability counts as at least so much
INF = torch.inf


def case_logits(vocabulary, generator):
    """Rows: ordinary, ordinary, equal logits, teacher = student, extremes, a teacher with -inf, a student far from the teacher."""
    rows = 7
    student = torch.randn(rows, vocabulary, generator=generator) * 2
    teacher = torch.randn(rows, vocabulary, generator=generator) * 3
    student[2], teacher[2] = 0.5, -1.25
    teacher[3] = student[3]
    student[4, 1] = teacher[4, 2] = 60
    teacher[5, ::3] = -INF
    student[6] = -teacher[6]
    return student, teacher


def finite(logarithm):
    return logarithm.clamp(min=IMPOSSIBLE)


def best(logits, k):
    """Ids by falling logit, ties by rising id."""
    return torch.sort(logits, dim=-1, descending=True, stable=True).indices[..., :k]


def merged(logits, ids):
    """Log-probabilities of the ids and of everything else together; of every id where ids is None or complete."""
    log_probabilities = torch.log_softmax(logits, -1)
    if ids is None:
        return log_probabilities
    listed = log_probabilities.gather(1, ids)
    if ids.shape[1] == logits.shape[1]:
        return listed
    others = torch.ones_like(log_probabilities).scatter(1, ids, 0).bool()
    rest = torch.stack([torch.logsumexp(row[mask], 0) for row, mask in zip(log_probabilities, others)])
    return torch.cat([listed, rest[:, None]], 1)


def kl(log_a, log_b):
    """Where b is the teacher, it comes bounded; a has no mass where that would matter."""
    return (log_a.exp() * (finite(log_a) - log_b)).sum(-1)


def laws(u, v, options):
    tau = options.get("temperature", 1.0)
    ids = None if options.get("dense") else best(u, min(options.get("topK", 64), u.shape[1]))
    return merged(u / tau, ids), merged(v / tau, ids)


def divergence_of(u, v, options, name):
    log_p, log_q = laws(u, v, options)
    return kl(log_p, log_q) if name == "forward-kl" else kl(log_q, finite(log_p))


# ── divergences ──


def forward_kl(case):
    return divergence_of(case.u, case.v, case.options, "forward-kl")


def reverse_kl(case):
    return divergence_of(case.u, case.v, case.options, "reverse-kl")


def generalized_jsd(case):
    log_p, log_q = laws(case.u, case.v, case.options)
    beta = case.options.get("beta", 0.5)
    mixture = (beta * finite(log_p).exp() + (1 - beta) * log_q.exp()).log()
    of_p, of_q = (log_p.exp() * (finite(log_p) - mixture)).sum(-1), (log_q.exp() * (log_q - mixture)).sum(-1)
    return beta * of_p + (1 - beta) * of_q


def distillm_2(case):
    """Whose text a row is decides; the α of the whole text from the mean log-probabilities of its tokens."""
    options = dict(case.options)
    alpha, balance, anchor = options.get("alpha", 0.1), options.get("balance", 1.0), options.get("anchor", 0.0)
    own = case.by_student.bool()
    if anchor > 0:
        mean = lambda logits: at_target(logits.detach().log_softmax(-1), case.targets).mean().exp()
        gap = mean(case.u) - mean(case.v)
        if own.double().mean() > 0.5:
            gap = -gap
        alpha = (1 - (1 - alpha) * anchor / (gap + 1e-5)).clamp(0.01, alpha).item()
    parts = Case({**options, "alpha": alpha, "detachMixture": True}, case.__dict__)
    parts.options = {**options, "alpha": alpha, "detachMixture": True}
    return torch.where(own, balance * skew_reverse_kl(parts), (2 - balance) * skew_forward_kl(parts))


def skew_forward_kl(case):
    log_p, log_q = laws(case.u, case.v, case.options)
    alpha = case.options.get("alpha", 0.1)
    mixture = (alpha * finite(log_p).exp() + (1 - alpha) * log_q.exp()).log()
    return (log_p.exp() * (finite(log_p) - mixture)).sum(-1)


def skew_reverse_kl(case):
    log_p, log_q = laws(case.u, case.v, case.options)
    alpha = case.options.get("alpha", 0.1)
    inside = log_q.detach() if case.options.get("detachMixture") else log_q
    mixture = ((1 - alpha) * finite(log_p).exp() + alpha * inside.exp()).log()
    return (log_q.exp() * (log_q - mixture)).sum(-1)


def total_variation(case):
    log_p, log_q = laws(case.u, case.v, case.options)
    return 1 - torch.minimum(log_p.exp(), log_q.exp()).sum(-1)


def akl(case):
    log_p, log_q = laws(case.u, case.v, case.options)
    mu = case.options.get("mu", 0.5)
    values = []
    for lp, lq in zip(log_p, log_q):
        p, q = lp.exp(), lq.exp().detach()
        # A list is in this order, and what is outside it comes last, however heavy it is.
        order = torch.sort(p, descending=True, stable=True).indices if case.options.get("dense") else torch.arange(len(p))
        head, mass = [order[0].item()], p[order[0]].item()
        for index in order[1:].tolist():
            mass += p[index].item()
            if mass > mu:
                break
            head.append(index)
        gap = (p - q).abs()
        head_gap = gap[head].sum()
        total = gap.sum()
        share = head_gap / total if total > 1e-12 else torch.tensor(0.5).double()
        values.append(share * kl(lp, lq) + (1 - share) * kl(lq, finite(lp)))
    return torch.stack(values)


def pearson(x, y):
    """Of two vectors; 0 where one is constant (spread below 1e-10 of its mean square)."""
    a, b = x - x.mean(), y - y.mean()
    if (a @ a) <= 1e-10 * (x @ x) or (b @ b) <= 1e-10 * (y @ y):
        return (x * 0).sum()
    return (a @ b) / ((a @ a).sqrt() * (b @ b).sqrt())


def dist(case):
    log_p, log_q = laws(case.u, case.v, case.options)
    p, q = log_p.exp(), log_q.exp()
    value = case.options.get("between", 1.0) * torch.stack([1 - pearson(q_row, p_row) for p_row, q_row in zip(p, q)])
    if case.options.get("within"):
        columns = torch.stack([pearson(q[:, id], p[:, id]) for id in range(p.shape[1])])
        value = value + case.options["within"] * (1 - columns.mean())
    return value


def uld(case):
    p, q = case.u.softmax(-1), case.v.softmax(-1)
    p, q = p.sort(-1, descending=True).values, q.sort(-1, descending=True).values
    if case.options.get("dense"):
        return (p - q).abs().sum(-1)
    k = case.options["topK"]
    left = (p[:, k:].sum(-1) - q[:, k:].sum(-1)).abs()
    return (p[:, :k] - q[:, :k]).abs().sum(-1) + left


def truncated_forward_kl(case):
    options = case.options
    ids = best(case.u, options["topK"])
    tau = options.get("temperature", 1.0)
    log_p = (case.u / tau).log_softmax(-1).gather(1, ids)
    log_q = (case.v / tau).log_softmax(-1).gather(1, ids)
    how = options.get("normalise", "none")
    if how != "none":
        log_p = log_p - log_p.logsumexp(-1, keepdim=True)
    if how == "both":
        log_q = log_q - log_q.logsumexp(-1, keepdim=True)
    value = (log_p.exp() * (finite(log_p) - log_q)).sum(-1)
    return value.clamp(min=0) if options.get("clampAtZero") else value


def rs_kd(case):
    ids, counts = case.draws
    log_q = case.v.log_softmax(-1)
    return -(counts / counts.sum(-1, keepdim=True) * log_q.gather(1, ids)).sum(-1)


# ── tokens ──


def at_target(logits, targets):
    return logits.gather(1, targets[:, None])[:, 0]


def sampled_reverse_kl(case):
    log_q = at_target(case.v.log_softmax(-1), case.targets)
    log_p = finite(at_target(case.u.log_softmax(-1), case.targets))
    advantage = -case.options.get("scale", 1.0) * (log_q.detach() - log_p)
    own = case.by_student.double()
    # Value and gradient of −ratio·A at ratio 1, mean over own positions as a sum over all.
    surrogate = -(log_q - log_q.detach() + 1) * advantage
    return own * surrogate * len(own) / own.sum()


def dpkd(case):
    log_p, log_q = finite(case.u.log_softmax(-1)), case.v.log_softmax(-1)
    a, b = best(case.u, 1), best(case.v.detach(), 1)
    ratio = lambda ids: (log_q.gather(1, ids) - log_p.gather(1, ids))[:, 0]
    return -torch.nn.functional.logsigmoid(case.options.get("beta", 0.1) * (ratio(a) - ratio(b)))


def atkd(case):
    """TKD and DKD over probability vectors; with a top list over the list and the rest, the target taken out."""
    options = case.options
    rows = []
    for u, v, target in zip(case.u, case.v, case.targets.tolist()):
        ids = list(range(len(u))) if options.get("dense") else best(u, options["topK"]).tolist()
        groups = [[index] for index in ids if index != target]
        rest = [index for index in range(len(u)) if index not in ids and index != target]
        groups += [rest] if rest else []
        log_p, log_q = u.log_softmax(-1), v.log_softmax(-1)
        mass = lambda logs: torch.stack([torch.logsumexp(logs[group], 0) for group in groups])
        others_p, others_q = mass(log_p), mass(log_q)
        pair = lambda logs, others: torch.stack([logs[target], others.logsumexp(0)])
        pairs = [finite(pair(log_p, others_p)), pair(log_q, others_q)]
        others = [finite(others_p.log_softmax(-1)), others_q.log_softmax(-1)]
        if options.get("direction") == "reverse":
            pairs, others = pairs[::-1], others[::-1]
        rows.append((1 - log_p[target].exp(), kl(*pairs), kl(*others)))
    u, tkd, dkd = (torch.stack(column) for column in zip(*rows))
    hard = u >= u.median()  # torch's median is the lower one
    alpha, n = options.get("alpha", 0.2), len(u)
    easy_count, hard_count = (~hard).sum().clamp(min=1), hard.sum().clamp(min=1)
    return torch.where(hard, (1 - alpha) * (tkd + dkd) * n / hard_count, alpha * dkd * n / easy_count)


def speckd(case):
    options = case.options
    if options.get("acceptance") == "ratio":
        log_p, log_q = (at_target(x.detach().log_softmax(-1), case.targets) for x in (case.u, case.v))
        weight = (log_p - log_q).exp().clamp(max=1)
        value = divergence_of(case.u, case.v, options, options.get("divergence", "forward-kl"))
        return weight * len(weight) / weight.sum() * value
    proposal = case.targets if options.get("proposal") == "token" else best(case.v.detach(), 1)[:, 0]
    rank = (case.u > at_target(case.u, proposal)[:, None]).sum(-1)
    if options.get("proposal") != "token":  # ties: by place in the list
        rank = torch.tensor([row.tolist().index(id) for row, id in zip(best(case.u, case.u.shape[1]), proposal.tolist())])
    accepted = rank < options.get("rank", 25)
    value = divergence_of(case.u, case.v, options, options.get("divergence", "forward-kl"))
    return torch.where(accepted, value * len(accepted) / accepted.sum().clamp(min=1), value * 0)


def adakd(case):
    """Scores, selection and temperatures without a gradient; the released formula with the median over the selected."""
    options = case.options
    p, q = case.u.softmax(-1), case.v.detach().softmax(-1)
    score = ((p.sqrt() - q.sqrt()) ** 2).sum(-1).sqrt() / 2**0.5
    count = -int(-options.get("ratio", 1.0) * len(score) // 1)
    selected = torch.zeros(len(score)).bool().scatter(0, score.sort(descending=True, stable=True).indices[:count], True)
    c = options.get("strength", 0.5) * (-1 if options.get("soften") else 1)
    temperature = options.get("temperature", 1.0) * torch.exp(-c * torch.tanh((score / score[selected].median()).log()))
    log_p = (case.u / temperature[:, None]).log_softmax(-1)
    log_q = (case.v / temperature[:, None]).log_softmax(-1)
    value = kl(log_p, log_q) if options.get("divergence") == "forward-kl" else kl(log_q, finite(log_p))
    return torch.where(selected, temperature**2 * value * len(score) / count, value * 0)


# ── logits ──


def centred(logits):
    """Minus the mean over ids with a finite logit."""
    possible = ~torch.isinf(logits)
    mean = torch.where(possible, logits, torch.zeros_like(logits)).sum(-1, keepdim=True) / possible.sum(-1, keepdim=True)
    return logits - mean


def sharpness(logits, temperature):
    return torch.logsumexp(logits / temperature, -1)


def solve_temperatures(u, v, tau, floor):
    if max(u.max(), v.max()) < 1e-6:
        return tau, tau
    low, high = -tau * (1 - floor), tau * (1 - floor)
    for _ in range(60):
        middle = (low + high) / 2
        if sharpness(u, tau + middle) > sharpness(v, tau - middle):
            low = middle
        else:
            high = middle
    return tau + low, tau - low


def dtkd_of_a_list(case):
    """Temperatures without a gradient from the whole laws, divergences over the list and the rest."""
    options = case.options
    tau, alpha, beta = options.get("temperature", 4.0), options.get("alpha", 3.0), options.get("beta", 1.0)
    floor = options.get("floor", 0.25) * tau
    ids = best(case.u, options["topK"])
    values = []
    for row, (u, v) in enumerate(zip(case.u, case.v)):
        x, y = u.max() - u.mean(), (v.max() - v.mean()).detach()
        flat = not torch.isfinite(x + y) or x + y < 1e-6
        t_teacher, t_student = (tau, tau) if flat else ((2 * z / (x + y) * tau).clamp(min=floor) for z in (x, y))
        own = ids[row : row + 1]
        at = lambda a, b: kl(merged(u[None] / a, own), merged(v[None] / b, own))[0]
        values.append(alpha * t_teacher * t_student * at(t_teacher, t_student) + beta * tau**2 * at(tau, tau))
    return torch.stack(values)


def dtkd(case):
    options = case.options
    if options.get("dense") is False:
        return dtkd_of_a_list(case)
    tau, alpha, beta = options.get("temperature", 4.0), options.get("alpha", 3.0), options.get("beta", 1.0)
    mode, floor = options.get("mode", "detached"), options.get("floor", 0.25) * options.get("temperature", 4.0)
    shift = centred if options.get("centred", True) else (lambda logits: logits)
    values = []
    for u, v in zip(shift(case.u), shift(case.v)):
        u = u.clamp(min=-1e30)  # no mass at any temperature, and no NaN in the gradient by the temperature
        x, y = u.max(), v.max() if mode == "released" else v.max().detach()
        if mode == "solved":
            t_teacher, t_student = solve_temperatures(u, v.detach(), tau, floor / tau)
        elif (x + y).abs() < 1e-6:
            t_teacher = t_student = torch.tensor(tau).double()
        else:
            t_teacher = (2 * x / (x + y) * tau).clamp(min=floor)
            t_student = (2 * y / (x + y) * tau).clamp(min=floor)
        dynamic = t_teacher * t_student * kl((u / t_teacher).log_softmax(-1), (v / t_student).log_softmax(-1))
        fixed = tau**2 * kl((u / tau).log_softmax(-1), (v / tau).log_softmax(-1))
        values.append(alpha * dynamic + beta * fixed)
    return torch.stack(values)


class Reversal(torch.autograd.Function):
    """The released layer: backward multiplies by a factor."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return ctx.factor * gradient, None


def ctkd(case):
    options = case.options
    case.parameters["theta"] = torch.tensor([options["initial"]]).double().requires_grad_()
    theta = Reversal.apply(case.parameters["theta"], options["reversal"])
    temperature = options.get("minimum", 1.0) + options.get("range", 20.0) * torch.sigmoid(theta)
    u = case.u.clamp(min=-1e30)
    return temperature**2 * kl((u / temperature).log_softmax(-1), (case.v / temperature).log_softmax(-1))


def continuation_kd(case):
    options = case.options
    phi, psi, margin = options["phi"], options["psi"], options.get("margin", 0.0)
    labels = torch.nn.functional.cross_entropy(case.v, case.targets, reduction="none")
    hinges = []
    for row, (u, v) in enumerate(zip(case.u, case.v)):
        counted = ~torch.isinf(u)
        if options.get("support", "dense") != "dense":
            k = options["k"]
            union = set(best(u, k).tolist()) | set(best(v.detach(), k).tolist())
            counted = counted & torch.tensor([index in union for index in range(len(u))])
        if options.get("centred", True):
            # The signal's mean logit of a row with -inf is -inf: no centre then.
            u = centred(u) if options.get("support", "dense") == "dense" or not torch.isinf(u).any() else u
            v = v - v.mean()
        squares = (v - phi * torch.where(counted, u, torch.zeros_like(u)))[counted] ** 2
        error = squares.sum() if options.get("norm") == "sum" else squares.mean()
        hinges.append((error - margin * phi).clamp(min=0))
    return psi * labels + (1 - psi) * torch.stack(hinges)


# ── order ──


def soft_rank(values, strength):
    """torchsort.soft_rank(values, "l2", strength): pool adjacent violators on the sorted values; 1 = smallest."""
    s, order = torch.sort(values / strength, descending=True, stable=True)
    y = s - torch.arange(len(s), 0, -1).double()
    blocks = []
    for index in range(len(s)):
        blocks.append([index])
        mean = lambda block: y[block].mean().item()
        while len(blocks) > 1 and mean(blocks[-2]) <= mean(blocks[-1]) + 1e-12:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    pooled = torch.cat([y[block].mean().expand(len(block)) for block in blocks])
    return torch.zeros_like(values).index_put((order,), s - pooled)


def sigmoid_rank(values, temperature):
    return 0.5 + torch.sigmoid((values[:, None] - values[None, :]) / temperature).sum(-1)


def rank_term(u, v, options):
    """One position."""
    k = options.get("k", 5)
    first = best(u, k).tolist()
    union = first + [index for index in best(v.detach(), k).tolist() if index not in first]
    ids = torch.tensor([index for index in union if not torch.isinf(u[index])])
    overlap = 2 * min(k, len(u)) - len(union)
    a, b = u[ids], v[ids]
    operator, strength = options.get("operator", "soft-rank"), options.get("strength", 1.0)
    if operator == "plackett-luce":
        order = torch.sort(a, descending=True, stable=True).indices
        value = -sum(b[order[i:]].log_softmax(-1)[0] for i in range(len(order)))
        return value, overlap / k
    if operator == "listwise":
        return kl(a.log_softmax(-1), b.log_softmax(-1)), overlap / k
    if options.get("values") == "probabilities":
        a, b = a.softmax(-1), b.softmax(-1)
    if operator == "soft-rank":
        a, b = soft_rank(a, strength), soft_rank(b, strength)
    if operator == "pairwise-sigmoid":
        a, b = sigmoid_rank(a, strength), sigmoid_rank(b, strength)
    return 1 - pearson(b, a), overlap / k


def ranking(case):
    return torch.stack([rank_term(u, v, case.options)[0] for u, v in zip(case.u, case.v)])


def rlkd(case):
    options = case.options
    terms, overlaps = zip(*(rank_term(u, v, options) for u, v in zip(case.u, case.v)))
    value = divergence_of(case.u, case.v, options, options.get("divergence", "forward-kl"))
    weight = torch.tensor(overlaps).double() if options.get("dynamic") else 1.0
    return options.get("ratio", 2.0) * torch.stack(terms) + weight * value


# ── cases ──

KINKED = {"total-variation", "uld"}


def cases(vocabulary):
    small = vocabulary < 100
    lists = [{"topK": 1}, {"topK": 4}, {"topK": vocabulary}, {"dense": True}] if small else [{"topK": 16}, {"dense": True}]
    for at in lists:
        yield skew_forward_kl, {**at, "alpha": 0.1}
        yield skew_reverse_kl, {**at, "alpha": 0.1}
        yield total_variation, at
        yield akl, at
        yield dist, at
        yield uld, at
        yield atkd, at
    yield skew_forward_kl, {"dense": True, "alpha": 0.5, "temperature": 2.5}
    yield forward_kl, {"dense": True, "temperature": 0.5}
    yield reverse_kl, {"dense": True, "temperature": 0.5}
    yield generalized_jsd, {"topK": 4, "beta": 0.9}
    yield distillm_2, {"topK": 4, "alpha": 0.2, "balance": 1.5}
    yield distillm_2, {"dense": True, "anchor": 0.002}
    yield dist, {"dense": True, "between": 0.5, "within": 2}
    yield dtkd, {"dense": False, "topK": 5, "temperature": 2, "alpha": 1, "beta": 0.5}
    yield dtkd, {"dense": False, "topK": 3, "beta": 0, "temperature": 2}
    yield speckd, {"topK": 6, "proposal": "token", "acceptance": "ratio"}
    yield skew_reverse_kl, {"topK": 4, "alpha": 0.3, "detachMixture": True}
    yield akl, {"topK": 4, "mu": 0.9, "temperature": 2.5}
    yield rs_kd, {"draws": 12}
    yield adakd, {"ratio": 0.6}
    yield adakd, {"soften": True, "strength": 1, "temperature": 2, "divergence": "forward-kl"}
    yield sampled_reverse_kl, {"scale": 1.5}
    yield dpkd, {"beta": 0.3}
    yield dtkd, {"mode": "detached"}
    yield dtkd, {"mode": "released"}
    yield dtkd, {"mode": "solved"}
    yield ctkd, {"initial": 0.3, "reversal": -0.5, "range": 3}
    yield continuation_kd, {"phi": 0.6, "psi": 0.3, "margin": 2}
    yield continuation_kd, {"phi": 0.6, "psi": 0.3, "support": "top-k-approximation", "k": 4}
    for operator in ("soft-rank", "pairwise-sigmoid", "pearson", "plackett-luce", "listwise"):
        yield ranking, {"k": 5, "operator": operator}
    yield rlkd, {"k": 5, "topK": 8, "dynamic": True}
    yield speckd, {"topK": 8, "rank": 3}
    yield truncated_forward_kl, {"topK": 4}
    if not small:
        return
    yield atkd, {"topK": 4, "direction": "reverse", "alpha": 0.4}
    yield dpkd, {"dense": True}
    yield dtkd, {"mode": "released", "centred": False, "temperature": 2, "alpha": 1, "beta": 0.5}
    yield continuation_kd, {"phi": 0.2, "psi": 0, "norm": "sum", "centred": False, "margin": 40}
    yield ranking, {"k": 3, "operator": "soft-rank", "strength": 0.3}
    yield ranking, {"k": 4, "operator": "soft-rank", "strength": 20, "dense": True}
    yield ranking, {"k": 4, "operator": "soft-rank", "strength": 0.2, "values": "probabilities"}
    yield ranking, {"k": 4, "operator": "pearson", "values": "probabilities", "dense": True}
    yield rlkd, {"k": 3, "dense": True, "divergence": "reverse-kl", "operator": "pairwise-sigmoid", "strength": 0.5}
    yield speckd, {"topK": 4, "rank": 2, "proposal": "token", "divergence": "reverse-kl"}
    yield truncated_forward_kl, {"topK": 4, "normalise": "teacher", "temperature": 2.5}
    yield truncated_forward_kl, {"topK": 4, "normalise": "both"}
    yield truncated_forward_kl, {"topK": 4, "clampAtZero": True}


class Case:
    def __init__(self, options, shared):
        self.options = options
        self.__dict__.update(shared)


def draw(teacher, count, generator):
    """Distinct ids ascending and their counts, padded with id 0 and count 0."""
    ids, counts = torch.zeros(len(teacher), count).long(), torch.zeros(len(teacher), count)
    for row, p in enumerate(teacher.softmax(-1)):
        values, seen = torch.multinomial(p, count, replacement=True, generator=generator).unique(return_counts=True)
        ids[row, : len(values)], counts[row, : len(values)] = values, seen.float()
    return ids, counts


LARGE = 49_152


def large_logits(phase):
    """A few hundred peaks over a flat floor, from sines that any language computes alike."""
    i = torch.arange(LARGE).double()
    rows = [4 * torch.sin(0.7 * i + row + phase) + 5 * torch.sin(0.0013 * i * i + row + phase) for row in (0, 1)]
    return torch.stack([0.02 * row**3 for row in rows]).float()


def large_cases():
    for method in (skew_forward_kl, skew_reverse_kl, total_variation, akl, dist, atkd, rlkd, speckd):
        yield method, {"topK": 64}
    for method in (skew_reverse_kl, akl):
        yield method, {"dense": True}
    for method in (forward_kl, reverse_kl, generalized_jsd, distillm_2):
        yield method, {"topK": 64}
    for method in (forward_kl, reverse_kl, generalized_jsd, skew_forward_kl, total_variation, dist, atkd, distillm_2):
        yield method, {"dense": True}
    yield dtkd, {"dense": False, "topK": 64}
    yield ctkd, {"initial": 0.3, "reversal": -0.5, "range": 3}
    yield uld, {"topK": 64}
    yield truncated_forward_kl, {"topK": 64}
    yield ranking, {"k": 5}
    yield rs_kd, {"draws": 50}
    yield adakd, {}
    for mode in ("detached", "released", "solved"):
        yield dtkd, {"mode": mode}
    yield continuation_kd, {"phi": 0.6, "psi": 0.3}
    yield sampled_reverse_kl, {}
    yield dpkd, {}


def make_large():
    """Values, and of the gradients the 16 largest entries of each row, 16 others, and the sum of all magnitudes."""
    student, teacher = large_logits(0.5), large_logits(0)
    targets = torch.stack([best(teacher, 1)[0, 0], torch.tensor(777)])
    ids = best(teacher, 6)
    draws = ids.sort(-1).values, torch.arange(1, 7).expand(2, 6).double()
    shared = {"u": teacher.double(), "targets": targets, "by_student": torch.ones(2), "draws": draws, "parameters": {}}
    rounded = lambda x: [[float(f"{value:.8g}") for value in row] for row in x.tolist()]
    listing = []
    for method, options in large_cases():
        v = student.double().requires_grad_()
        value = method(Case(options, {**shared, "v": v}))
        (gradient,) = torch.autograd.grad(value.sum(), v)
        at = torch.cat([best(gradient.abs(), 16), torch.arange(16).expand(2, 16) * 3001], -1)
        listing.append({
            "name": method.__name__.replace("_", "-"),
            "options": options,
            "value": rounded(value[None].detach())[0],
            "ids": at.tolist(),
            "gradient": rounded(gradient.gather(1, at)),
            "magnitude": rounded(gradient.abs().sum(-1)[None])[0],
        })
    head = {"targets": targets.tolist(), "draws": {"ids": draws[0].tolist(), "counts": draws[1].tolist()}}
    cases = ",\n".join(map(json.dumps, listing))
    (OUT / f"losses-{LARGE}.json").write_text(json.dumps(head)[:-1] + ',\n"cases": [\n' + cases + "\n]}\n")


def main():
    OUT.mkdir(exist_ok=True)
    make_large()
    generator = torch.Generator().manual_seed(21)
    for vocabulary in (11, 257):
        student, teacher = case_logits(vocabulary, generator)
        if vocabulary > 100:
            student, teacher = student[[0, 2, 4, 5, 6]], teacher[[0, 2, 4, 5, 6]]
        rows = len(student)
        targets = torch.randint(0, vocabulary, (rows,), generator=generator)
        targets[0] = best(teacher, 1)[0, 0]
        by_student = torch.arange(rows) % 3 != 1
        draws = draw(teacher, 12, generator)
        tensors = {"student": student, "teacher": teacher, "targets": targets.float(), "byStudent": by_student.float()}
        tensors["draws.ids"], tensors["draws.counts"] = draws[0].float(), draws[1]
        listing = []
        for index, (method, options) in enumerate(cases(vocabulary)):
            v = student.double().requires_grad_()
            shared = {"u": teacher.double(), "v": v, "targets": targets, "by_student": by_student}
            shared["draws"] = (draws[0], draws[1].double())
            case = Case(options, {**shared, "parameters": {}})
            value = method(case)
            gradient, *owned = torch.autograd.grad(value.sum(), [v, *case.parameters.values()])
            for name, own in zip(case.parameters, owned):
                tensors[f"{index}.gradient.{name}"] = own.float()
            assert value.isfinite().all() and gradient.isfinite().all(), (method.__name__, options, value, gradient)
            tensors[f"{index}.value"], tensors[f"{index}.gradient"] = value.detach().float(), gradient.float()
            name = method.__name__.replace("_", "-")
            equal = [row for row in range(rows) if torch.equal(student[row].softmax(-1), teacher[row].softmax(-1))]
            # |x| has no derivative at 0.
            listing.append({"name": name, "options": options, "kinks": equal if name in KINKED or "clampAtZero" in options else []})
        save_file({key: value.contiguous() for key, value in tensors.items()}, OUT / f"losses-{vocabulary}.safetensors")
        (OUT / f"losses-{vocabulary}.json").write_text("[\n" + ",\n".join(map(json.dumps, listing)) + "\n]\n")


if __name__ == "__main__":
    main()
