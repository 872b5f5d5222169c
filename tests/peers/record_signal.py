"""Records a teacher's signal on real text with transformers, for `npm run bench -- wire --signal DIR`.

usage: record_signal.py MODEL_DIR TEXTS.jsonl OUT_DIR [--top-k 64] [--positions 4096]

TEXTS.jsonl holds objects with `question` and `answer` (GSM8K). OUT_DIR gets signal.json and one little-endian .bin per part, named and
shaped as in proto/tandem/v1/signal.proto; rows of several texts follow each other.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def rows_of(model, ids, top_k):
    with torch.no_grad():
        logits = model(ids[None]).logits[0, :-1].double()
    targets = ids[1:]
    values, order = torch.sort(logits, dim=-1, descending=True, stable=True)
    lse = torch.logsumexp(logits, -1)
    own = logits.gather(1, targets[:, None])
    log_p = logits - lse[:, None]
    return {
        "top_ids": order[:, :top_k].numpy().astype("<u4"),
        "top_logits": values[:, :top_k].numpy().astype("<f4"),
        "lse": lse.numpy().astype("<f4"),
        "log_tail": (torch.logsumexp(values[:, top_k:], -1) - lse).numpy().astype("<f4"),
        "token_logit": own[:, 0].numpy().astype("<f4"),
        "rank": (logits > own).sum(-1).numpy().astype("<u4"),
        "mean_logit": logits.mean(-1).numpy().astype("<f4"),
        "max_logit": values[:, 0].numpy().astype("<f4"),
        "entropy": -(log_p.exp() * log_p).sum(-1).numpy().astype("<f4"),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("texts")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--top-k", type=int, default=64)
    parser.add_argument("--positions", type=int, default=4096)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    parts, count = [], 0
    with open(options.texts) as lines:
        for line in lines:
            record = json.loads(line)
            ids = tokenizer(f"Question: {record['question']}\nAnswer: {record['answer']}", return_tensors="pt").input_ids[0]
            parts.append(rows_of(model, ids, options.top_k))
            count += len(ids) - 1
            if count >= options.positions:
                break
    options.out.mkdir(parents=True, exist_ok=True)
    for name in parts[0]:
        np.concatenate([part[name] for part in parts])[: options.positions].tofile(options.out / f"{name}.bin")
    shape = {"count": min(count, options.positions), "top_k": options.top_k, "vocab_size": int(model.config.vocab_size)}
    (options.out / "signal.json").write_text(json.dumps(shape) + "\n")


main()
