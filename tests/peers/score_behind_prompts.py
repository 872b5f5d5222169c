"""score_behind_prompts.py MODEL_DIR ROWS OUT: ROWS is a JSON list of {prompt, response} in ids; OUT gets, for row i, log_p.i [T]: what transformers
in float32 gives each token of the response behind that prompt."""

import json
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM


def main(directory, rows, out):
    torch.set_num_threads(2)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    parts = {}
    with open(rows) as file:
        for i, row in enumerate(json.load(file)):
            tokens = torch.tensor([row["prompt"] + row["response"]])
            with torch.no_grad():
                log_p = model(tokens).logits[0].double().log_softmax(-1)
            start = len(row["prompt"])
            own = [log_p[start + t - 1, token] for t, token in enumerate(row["response"])]
            parts[f"log_p.{i}"] = torch.stack(own).to(torch.float32)
    save_file(parts, out)


main(*sys.argv[1:])
