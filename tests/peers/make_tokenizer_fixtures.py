"""Writes tests/fixtures/tokenizer/{byte-level,sentencepiece}: two small tokenizers trained here, and in expected.json what transformers
makes of texts and chats with them.

usage: make_tokenizer_fixtures.py [OUT]      (needs tokenizers and transformers)
"""

import json
import pathlib
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CORPUS = [
    "The teacher thinks about the tokens that the student writes, and the student learns from the teacher.",
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.",
    "Numbers such as 12, 345 and 6789 are written digit by digit; words are put together from their pieces.",
    "Der Lehrer schreibt größere Wörter; l'élève répète naïvement. 学生学习。",
] * 4
TEXTS = [
    "",
    "The student learns.",
    " leading and trailing ",
    "two\n\nlines\tand  spaces",
    "12345 + 6789 = 19134",
    "größere Wörter, naïve élèves 学生 🎉",
    "<eos>in the<pad> middle <eos>",
    "don't they've I'M",
]
CHATS = [
    [{"role": "user", "content": "How many clips?"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "And 3 + 3?"},
    ],
]
TEMPLATE = """{{ bos_token }}{% for message in messages %}
{%- if message['role'] not in ['system', 'user', 'assistant'] %}{{ raise_exception('unknown role ' + message['role']) }}{% endif %}
<{{ message['role'] }}>
{{ message['content'] | trim }}{{ eos_token }}
{% endfor %}
{%- if add_generation_prompt %}<assistant>
{% endif %}"""
SPECIAL = [AddedToken(t, special=True, normalized=False) for t in ("<pad>", "<eos>", "<bos>")]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=380, special_tokens=SPECIAL, initial_alphabet=alphabet))
    return tokenizer


def sentencepiece():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{i:02X}>" for i in range(256)]
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=460, special_tokens=["<unk>", *SPECIAL, *bytes_])
    )
    # bytes are pieces of the model, not special tokens
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if not t["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    bos = tokenizer.token_to_id("<bos>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", bos)])
    return tokenizer


def write(out, tokenizer):
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", clean_up_tokenization_spaces=False
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(out)
    expected = {"vocabularySize": max(fast.get_vocab().values()) + 1, "texts": [], "chats": []}
    for text in TEXTS:
        ids = fast(text).input_ids
        expected["texts"].append(
            {
                "text": text,
                "ids": ids,
                "plain": fast(text, add_special_tokens=False).input_ids,
                "decoded": fast.decode(ids, skip_special_tokens=True),
                "decodedWithSpecial": fast.decode(ids, skip_special_tokens=False),
            }
        )
    for chat in CHATS:
        for prompt in (False, True):
            text = fast.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt)
            expected["chats"].append({"messages": chat, "addGenerationPrompt": prompt, "text": text})
    (out / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


def main(out):
    for name, make in (("byte-level", byte_level), ("sentencepiece", sentencepiece)):
        write(out / name, make())


if __name__ == "__main__":
    default = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "tokenizer"
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default)
