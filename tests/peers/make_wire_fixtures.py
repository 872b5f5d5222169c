"""Writes tests/fixtures/wire/python-frames.json: COMPACT frames made from docs/wire-format.md alone by a naive encoder, with the arrays
they hold. They use what Tandem's own encoder would not choose: odd codes, wide Rice parameters, escapes, every mode.

usage: make_wire_fixtures.py [OUT]      (needs numpy)
"""

import base64
import json
import pathlib
import struct
import sys

import numpy as np

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "examples" / "python-client"))
from tandem_wire import _crc32c, decode_compact  # noqa: E402


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def nibbles(values):
    padded = list(values) + [0]
    return bytes(padded[i] | padded[i + 1] << 4 for i in range(0, len(values), 2))


def pack(pieces):
    """Bit stream of (value, bits)."""
    total = at = 0
    for value, bits in pieces:
        total |= int(value) << at
        at += bits
    return total.to_bytes((at + 7) // 8, "little")


def reversed_code(code, bits):
    return int(format(code, f"0{bits}b")[::-1], 2)


def top(ids, logits, lengths, rice, step, bound):
    n, k = ids.shape
    codes, code = {}, 0
    for length in range(1, 9):
        code <<= 1
        for symbol, its in enumerate(lengths):
            if its == length:
                codes[symbol] = (reversed_code(code, length), length)
                code += 1
    pieces = []
    for value in ids.ravel().tolist():
        c = (value + 1).bit_length() - 1
        pieces += [codes[c], (value + 1 - (1 << c), c)]
    stream = pack(pieces)
    head = bytes([len(lengths)]) + nibbles(lengths)
    if step is None:
        return head + b"\0" + struct.pack("<I", len(stream)) + stream + logits.astype("<f4").tobytes()
    gaps = []
    decoded = np.empty_like(logits)
    for row in range(n):
        steps = np.round((float(logits[row, 0]) - logits[row].astype(np.float64)) / step).astype(int)
        decoded[row] = (float(logits[row, 0]) - steps * float(np.float32(step))).astype(np.float32)
        for j in range(1, k):
            gap = int(steps[j] - steps[j - 1])
            b = rice[j.bit_length() - 1]
            if gap >> b >= 16:
                gaps += [(0, 16), (gap, 24)]
            else:
                gaps += [(0, gap >> b), (1, 1), (gap & (1 << b) - 1, b)]
    logits[:] = decoded
    body = struct.pack("<ff", step, bound) + nibbles(rice) + struct.pack("<I", len(stream)) + stream
    return head + b"\1" + body + logits[:, 0].astype("<f4").tobytes() + pack(gaps)


def at(lists, step, bound):
    out = b"".join(varint(len(row)) for row in lists)
    if step is None:
        return out + b"\0" + np.concatenate(lists).astype("<f4").tobytes()
    out += b"\1" + struct.pack("<ff", step, bound)
    for row in lists:
        if len(row):
            high = float(np.max(row))
            steps = np.round((high - row.astype(np.float64)) / step).astype(int)
            row[:] = (high - steps * float(np.float32(step))).astype(np.float32)
            width = max(1, int(steps.max()).bit_length())
            out += struct.pack("<fB", high, width) + pack([(s, width) for s in steps])
    return out


def draws(rows):
    out = b"".join(varint(len(row)) for row in rows)
    for row in rows:
        last = -1
        for token, count in row:
            out += varint(token - last - 1) + varint(count - 1)
            last = token
    return out


def frame(parts, numbers, body):
    data = b"TSF\x01" + struct.pack("<H", parts) + b"".join(varint(v) for v in numbers) + body
    return data + struct.pack("<I", _crc32c(data))


def lists_of(rng, n, k, vocab, scale):
    ids = np.stack([rng.permutation(vocab)[:k] for _ in range(n)]).astype(np.uint32)
    logits = -np.sort(-rng.normal(0, scale, (n, k)), axis=1)
    return ids, logits.astype(np.float32)


def main(out):
    rng = np.random.default_rng(7)
    f32 = lambda *shape: rng.normal(0, 5, shape).astype(np.float32)  # noqa: E731
    frames = []

    def add(name, data, **extra):
        parts = decode_compact(data)
        for key, value in extra.items():
            assert np.array_equal(parts[key], value), (name, key)
        hidden = parts.pop("hidden", {})
        values = {key: value if isinstance(value, int) else value.ravel().tolist() for key, value in parts.items()}
        values["hidden"] = {str(layer): value.ravel().tolist() for layer, value in hidden.items()}
        for key in ("log_tail", "top_logits"):
            if key in values:
                values[key] = [None if v == -np.inf else v for v in values[key]]
        frames.append({"name": name, "frame": base64.b64encode(data).decode(), "values": values})

    # flat code of 8 classes, parameters that force escapes (0 for the first gaps) and waste (9 for the last)
    ids, logits = lists_of(rng, 5, 11, 254, 4)
    body = top(ids, logits, [3] * 8, [0, 0, 4, 9], 0.005, 0.0025)
    lse, tail, token, rank = f32(5), f32(5), f32(5), rng.integers(0, 60000, 5)
    body += lse.tobytes() + tail.tobytes() + token.tobytes() + b"".join(varint(int(r)) for r in rank)
    add("quantised", frame(0b11000111, (3, 5, 11, 0, 254), body), top_ids=ids, top_logits=logits, lse=lse, log_tail=tail, token_logit=token, rank=rank)

    # exact logits, k = V, so that the tail has no mass; skewed code
    ids, logits = lists_of(rng, 2, 7, 7, 2)
    tail = np.full(2, -np.inf, np.float32)
    body = top(ids, logits, [1, 2, 3, 3], None, None, None) + f32(2).tobytes() + tail.tobytes()
    add("exact", frame(0b111, (1, 2, 7, 0, 7), body), top_ids=ids, top_logits=logits, log_tail=tail)

    # one class only, k = 1, temperatures per row and shared
    ids = np.array([[4], [6], [3]], np.uint32)
    taus, lse_at = np.abs(f32(3, 2)), f32(3, 2)
    body = top(ids, f32(3, 1), [0, 0, 1], [], 0.01, 0.005) + b"\0" + taus.tobytes() + lse_at.tobytes()
    add("lone class", frame(0b11001, (900, 3, 1, 2, 100), body), top_ids=ids, taus=taus, lse_at=lse_at)
    body = b"\1" + taus[0].tobytes() + lse_at.tobytes() + lse_at.tobytes()
    add("shared taus", frame(0b111000, (900, 3, 0, 2, 100), body), taus=np.tile(taus[0], (3, 1)), lse_at=lse_at, log_tail_at=lse_at)

    # ragged parts in both modes, moments
    lists = [f32(3), f32(0), f32(9), f32(1)]
    quantised = at(lists, 0.02, 0.01)
    drawn = [[(0, 5), (1, 1), (70000, 300)], [], [(99999, 1)], [(12, 2)]]
    body = quantised + f32(3, 4).tobytes() + draws(drawn)
    add("ragged", frame(0b1111100000000, (70000, 4, 0, 0, 100000), body), at_logits=np.concatenate(lists), draw_ids=[0, 1, 70000, 99999, 12])
    add("ragged exact", frame(1 << 8, (1, 4, 0, 0, 9), at(lists, None, None)), at_logits=np.concatenate(lists))

    # dense rows and hidden states
    dense, hidden = f32(3, 6), f32(3, 4).astype(np.float16)
    body = b"\1" + dense.astype("<f2").tobytes() + varint(2) + varint(0) + varint(4) + hidden.tobytes() + varint(30) + varint(4) + (hidden * 2).tobytes()
    add("dense f16", frame(3 << 13, (1, 3, 0, 0, 6), body), dense=dense.astype(np.float16).astype(np.float32))
    add("dense f32", frame(1 << 13, (1, 3, 0, 0, 6), b"\2" + dense.tobytes()), dense=dense)
    add("empty", frame(0b11000111, (8, 0, 4, 0, 10), b"\0\1" + struct.pack("<ff", 0.02, 0.01) + b"\x11" + struct.pack("<I", 0)))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(frames, indent=1) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "tests/fixtures/wire/python-frames.json")
