"""Writes tests/fixtures/sampling/warped.json: laws after transformers' own warpers, and the ids that the inverse CDF takes from them.

usage: make_sampling_fixtures.py [OUT]      (needs torch and transformers)
"""

import json
import pathlib
import sys

import numpy as np
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

VOCAB = 48
PARAMS = [
    (1.0, 0, 1.0),
    (0.7, 0, 1.0),
    (1.3, 5, 1.0),
    (1.0, 0, 0.9),
    (0.2, 0, 0.5),
    (0.8, 12, 0.8),
    (2.5, 40, 0.3),
    (1.0, 100, 0.999),
]
UNIFORMS = [0.0, 0.05, 0.31, 0.5, 0.77, 0.999999]


def warp(logits, temperature, top_k, top_p):
    scores = torch.from_numpy(logits.astype(np.float64))[None]
    if temperature != 1.0:
        scores = TemperatureLogitsWarper(temperature)(None, scores)
    if top_k > 0:
        scores = TopKLogitsWarper(top_k)(None, scores)
    if top_p < 1.0:
        scores = TopPLogitsWarper(top_p)(None, scores)
    return torch.softmax(scores, -1)[0].numpy()


def main(out):
    rng = np.random.default_rng(20261122)
    cases = []
    for row in range(6):
        logits = rng.normal(0, 1.0 + row, VOCAB).astype(np.float32)
        if row == 2:
            logits[rng.integers(0, VOCAB, 10)] = -np.inf
        draws = []
        for temperature, top_k, top_p in PARAMS:
            law = warp(logits, temperature, top_k, top_p)
            running = np.cumsum(law)
            ids = [int(np.argmax(running > u * running[-1])) for u in UNIFORMS]
            draws.append({"temperature": temperature, "topK": top_k, "topP": top_p, "support": int((law > 0).sum()), "ids": ids})
        cases.append({"logits": [None if np.isinf(v) else float(v) for v in logits], "draws": draws})
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"uniforms": UNIFORMS, "rows": cases}) + "\n")


if __name__ == "__main__":
    default = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "sampling" / "warped.json"
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default)
