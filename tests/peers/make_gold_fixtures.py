"""Writes tests/fixtures/losses/gold: laws over two vocabularies, and what TRL's GOLD trainer makes of them (`ULDLoss`, extended and hybrid).

    python tests/peers/make_gold_fixtures.py        (needs trl, transformers, torch)

The tokenizers are those of tests/fixtures/tokenizer; the text is cut by both. TRL matches tokens by their spelling in the vocabulary, which
says nothing across kinds of tokenizers ("Ġthe", "▁the"): its table is replaced by the one by bytes, written down in the fixture.
TRL's `observed` reads the logits of the position behind; it is given logits moved by one.
"""

import json
import pathlib
import types

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast
from trl.experimental.gold.gold_trainer import ULDLoss

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
TEXT = "größere Wörter: the student sold 48 clips."


def byte_decoder():
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in prints]
    return {chr(byte): byte for byte in prints} | {chr(256 + at): byte for at, byte in enumerate(others)}


BYTES = byte_decoder()


def byte_level(piece):
    return bytes(BYTES[character] for character in piece)


def sentencepiece(piece):
    if piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:-1], 16)])
    return piece.replace("▁", " ").encode()


def spelled(tokenizer, spell):
    special = set(tokenizer.all_special_tokens)
    return {id: b"" if piece in special else spell(piece) for piece, id in tokenizer.get_vocab().items()}


def offsets(ids, bytes_of, text):
    ends, end = [], len(text) - sum(len(bytes_of[id]) for id in ids)  # -1 where a space leads
    for id in ids:
        begin, end = end, end + len(bytes_of[id])
        ends.append([max(0, begin), max(0, end)])
    return ends


def match(student, teacher):
    by_bytes, mapping = {}, {}
    for id in sorted(student):
        if student[id]:
            by_bytes.setdefault(student[id], id)
    for id in sorted(teacher):
        own = by_bytes.get(teacher[id])
        if own is not None and own not in mapping.values():
            mapping[id] = own
    return mapping


def main():
    load = lambda name: PreTrainedTokenizerFast.from_pretrained(FIXTURES / "tokenizer" / name)
    sides = {"student": (load("byte-level"), byte_level), "teacher": (load("sentencepiece"), sentencepiece)}
    text = TEXT.encode()
    ids, spans, vocabularies, bytes_of = {}, {}, {}, {}
    for side, (tokenizer, spell) in sides.items():
        ids[side] = tokenizer.encode(TEXT, add_special_tokens=False)
        bytes_of[side] = spelled(tokenizer, spell)
        assert b"".join(bytes_of[side][id] for id in ids[side]).lstrip(b" ") == text
        spans[side] = offsets(ids[side], bytes_of[side], text)
        vocabularies[side] = len(tokenizer)
    mapping = match(bytes_of["student"], bytes_of["teacher"])

    generator = torch.Generator().manual_seed(41)
    # Row i is the law of token i: one row of prompt in front, as `bayesian` needs it.
    logits = {side: torch.randn(len(ids[side]), vocabularies[side], generator=generator) * 2 for side in sides}
    for side in sides:
        for row, id in enumerate(ids[side]):
            logits[side][row, id] += 3
    tensors = {f"{side}.logits": value for side, value in logits.items()}

    cases = []
    for merge in ("last", "first"):
        for hybrid, beta, weight in ((True, 0.5, None), (True, 0.0, 0.7), (True, 1.0, 0.3), (False, 0.5, None)):
            config = types.SimpleNamespace(
                uld_crossentropy_weight=0.0, uld_distillation_weight=1.0, uld_student_temperature=1.0,
                uld_teacher_temperature=1.0, uld_skip_student_eos=False, uld_skip_teacher_eos=False,
                use_extended_uld=True, uld_token_merge_strategy="bayesian" if merge == "last" else "observed",
                uld_use_hybrid_loss=hybrid, uld_hybrid_matched_weight=weight,
                uld_hybrid_unmatched_weight=None if weight is None else 1 - weight, beta=beta,
            )
            loss = ULDLoss(config)
            if hybrid:
                loss._vocab_mapping = mapping
                loss._teacher_matched_ids, loss._student_matched_ids = set(mapping), set(mapping.values())
                loss.mapping_tensor = torch.full((max(mapping) + 1,), -1, dtype=torch.long)
                for teacher_id, student_id in mapping.items():
                    loss.mapping_tensor[teacher_id] = student_id
            leaf = logits["student"].double().requires_grad_()
            blank = lambda side: torch.zeros(1, vocabularies[side]).double()
            side_logits = {"student": leaf, "teacher": logits["teacher"].double()}
            # Token i of the answer is at i + 1; `bayesian` reads its law at i, `observed` at i + 1.
            place = (lambda side: torch.cat([side_logits[side], blank(side)])) if merge == "last" else (lambda side: torch.cat([blank(side), side_logits[side]]))
            tokens = {side: torch.tensor([[0, *ids[side]]]) for side in sides}
            labels = {side: torch.tensor([[-100, *ids[side]]]) for side in sides}
            places = {side: torch.tensor([[[0, 0], *spans[side]]]) for side in sides}
            value = loss(
                place("student")[None], place("teacher")[None], labels["student"], labels["teacher"], tokens["student"],
                tokens["teacher"], student_byte_offsets=places["student"], teacher_byte_offsets=places["teacher"],
            )
            (gradient,) = torch.autograd.grad(value, leaf)
            tensors[f"{len(cases)}.gradient"] = gradient.float()
            options = {"topK": vocabularies["teacher"], "hybrid": hybrid, "beta": beta}
            if weight is not None:
                options["matchedShare"] = weight
            cases.append({"merge": merge, "options": options, "value": float(value)})
    out = FIXTURES / "losses"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out / "gold.safetensors")
    head = {"text": TEXT, "ids": ids, "matched": len(mapping)}
    listing = ",\n".join(map(json.dumps, cases))
    (out / "gold.json").write_text(json.dumps(head, ensure_ascii=False)[:-1] + ',\n"cases": [\n' + listing + "\n]}\n")


if __name__ == "__main__":
    main()
