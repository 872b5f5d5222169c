"""Where the tokens of two byte-level tokenizers end, by transformers.

usage: token_ends.py DIR_A DIR_B < JSON list of texts
Prints JSON: `matched`, how many tokens other than special ones both vocabularies spell alike, and for each text the `ends` of both sides' tokens,
in bytes.
"""

import json
import sys

from transformers import AutoTokenizer


def byte_of():
    """GPT-2's table: bytes that print are themselves, the others the characters from 256 on."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in prints]
    return {chr(byte): byte for byte in prints} | {chr(256 + at): byte for at, byte in enumerate(others)}


BYTE_OF = byte_of()


def ends(tokenizer, text):
    found, spelled = [], b""
    for piece in tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False).input_ids):
        spelled += bytes(BYTE_OF[character] for character in piece)
        found.append(len(spelled))
    assert spelled == text.encode(), text
    return found


sides = [AutoTokenizer.from_pretrained(path) for path in sys.argv[1:3]]
plain = [set(side.get_vocab()) - set(side.get_added_vocab()) for side in sides]
texts = [[ends(side, text) for side in sides] for text in json.load(sys.stdin)]
print(json.dumps({"matched": len(plain[0] & plain[1]), "texts": texts}))
