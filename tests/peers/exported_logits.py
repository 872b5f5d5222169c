"""Loads exported Hugging Face directories as they are and prints their logits.

    python tests/peers/exported_logits.py '[{"dir": "...", "ids": [[1, 2, 3]]}]'

One JSON line: for each directory the logits of all rows, flattened, computed in float32 whatever the weights are stored as.
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM


def logits_of(directory, ids):
    model = AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager")
    stored = next(model.parameters()).dtype
    with torch.no_grad():
        logits = model.float().eval()(torch.tensor(ids)).logits
    return {"stored": str(stored), "logits": logits.flatten().tolist(), "eos": model.generation_config.eos_token_id}


if __name__ == "__main__":
    print(json.dumps([logits_of(job["dir"], job["ids"]) for job in json.loads(sys.argv[1])]))
