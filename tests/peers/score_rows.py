"""score_rows.py MODEL_DIR OUT: what transformers computes in float32 for a few rows of text, as safetensors (everything F32):
tokens.i, top_ids.i, top_logits.i [T,64], lse.i, rank.i, entropy.i, token_logit.i for rows i."""

import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = [
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did "
    "Natalia sell altogether in April and May? Natalia sold 48/2 = 24 clips in May. Altogether she sold 48+24 = 72 clips.",
    "The transformer is a neural network architecture that, since 2017, has replaced recurrent networks in most of natural "
    "language processing. Its layers attend to all earlier positions at once; what they cannot see is what comes later.",
    "def quicksort(xs):\n    if len(xs) < 2:\n        return xs\n    pivot, *rest = xs\n    return quicksort([x for x in rest "
    "if x < pivot]) + [pivot] + quicksort([x for x in rest if x >= pivot])\n",
]
K = 64


def main(directory, out):
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    parts = {}
    for i, text in enumerate(TEXTS):
        tokens = tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            u = model(tokens).logits[0, :-1].double()
        own = u.gather(1, tokens[0, 1:, None])
        top = u.topk(K, dim=-1)
        row = dict(
            tokens=tokens[0], top_ids=top.indices, top_logits=top.values, lse=u.logsumexp(-1), rank=(u > own).sum(-1),
            entropy=-(u.softmax(-1) * u.log_softmax(-1)).sum(-1), token_logit=own[:, 0],
            log_tail=u.softmax(-1).scatter(1, top.indices, 0.0).sum(-1).log(),
        )
        parts.update({f"{key}.{i}": value.to(torch.float32).contiguous() for key, value in row.items()})
    save_file(parts, out)


main(*sys.argv[1:])
