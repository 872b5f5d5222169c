"""Times training steps of a Llama in PyTorch eager: the other side of `npm run bench -- train`.

    python tests/peers/bench_train.py '{"model": {...config.json...}, "rows": 8, "positions": 128, "steps": 5, "threads": 2, "topK": 0}'

Prints one JSON line: seconds of each step, the losses, the peak resident memory. `topK` 0 is cross-entropy; otherwise forward KL against a
top list with the tail as one bucket, from synthetic teacher logits. The step is the usual one: zero_grad, forward, loss, backward,
clip_grad_norm_, AdamW.
"""

import json
import resource
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def forward_kl(logits, teacher):
    log_q = torch.log_softmax(logits, -1)
    kept = log_q.gather(1, teacher["ids"])
    others = logits.scatter(1, teacher["ids"], -torch.inf)
    rest = torch.logsumexp(others, 1) - torch.logsumexp(logits, 1)
    log_p = torch.cat([teacher["logits"] - teacher["lse"][:, None], teacher["tail"][:, None]], 1)
    return (log_p.exp() * (log_p - torch.cat([kept, rest[:, None]], 1))).sum(-1).mean()


def make_teacher(count, k, vocabulary):
    ids = torch.stack([torch.randperm(vocabulary)[:k] for _ in range(count)])
    logits = torch.randn(count, k).sort(descending=True).values + 6
    lse = torch.logsumexp(logits, 1) + 0.1
    tail = torch.log(-torch.expm1(torch.logsumexp(logits, 1) - lse))
    return {"ids": ids, "logits": logits, "lse": lse, "tail": tail}


def main():
    plan = json.loads(sys.argv[1])
    torch.set_num_threads(plan["threads"])
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**plan["model"]))
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    tokens = torch.randint(0, plan["model"]["vocab_size"], (plan["rows"], plan["positions"] + 1))
    teacher = make_teacher(plan["rows"] * plan["positions"], plan["topK"], plan["model"]["vocab_size"]) if plan["topK"] else None
    seconds, losses = [], []
    for _ in range(plan["steps"]):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        logits = model(tokens[:, :-1]).logits.flatten(0, 1)
        if teacher is None:
            loss = torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten())
        else:
            loss = forward_kl(logits, teacher)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "losses": losses, "peakBytes": peak, "parameters": sum(p.numel() for p in model.parameters())}))


if __name__ == "__main__":
    main()
