"""Encodes texts with transformers, for comparison.

usage: encode_texts.py TOKENIZER_DIR < JSON list of texts
Prints JSON: for each text its `ids` (with special tokens) and the `text` they decode to (special tokens left out).
"""

import json
import sys

from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
results = []
for text in json.load(sys.stdin):
    ids = tokenizer(text).input_ids
    results.append({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=True)})
print(json.dumps({"vocabulary": max(tokenizer.get_vocab().values()) + 1, "texts": results}))
