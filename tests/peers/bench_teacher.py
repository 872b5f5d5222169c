"""The peer of `npm run bench -- teacher`: what transformers needs for the same signal.

usage: bench_teacher.py MODEL_DIR [rows=8] [length=256] [top_k=64] [repeats=5] [threads=2]
Prints one JSON line: positions per second, median, minimum and maximum over the repeats, float32, attention "sdpa".
"""
import json, statistics, sys, time

import torch
from transformers import AutoModelForCausalLM


def main(model_dir, rows=8, length=256, top_k=64, repeats=5, threads=2):
    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32, attn_implementation="sdpa").eval()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, model.config.vocab_size, (rows, length), generator=generator)
    rates = []
    with torch.inference_mode():
        for repeat in range(repeats + 1):
            begin = time.perf_counter()
            logits = model(ids).logits
            top = logits.topk(top_k)
            lse = logits.logsumexp(-1)
            # The tail, the rank of the next token: what the teacher's signal holds.
            tail = torch.log(-torch.expm1((top.values.logsumexp(-1) - lse).clamp(max=-1e-7)))
            token = logits[:, :-1].gather(-1, ids[:, 1:, None])
            rank = (logits[:, :-1] > token).sum(-1)
            del logits, top, lse, tail, token, rank
            if repeat > 0:  # the first is the warm-up
                rates.append(rows * length / (time.perf_counter() - begin))
    print(json.dumps({"peer": "transformers", "torch": torch.__version__, "positionsPerSecond": statistics.median(rates), "min": min(rates), "max": max(rates)}))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
