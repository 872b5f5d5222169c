"""Writes tests/fixtures/wire/python-frames.json: COMPACT frames made from docs/wire-format.md alone by a naive encoder, with the arrays
they hold. They use what Tandem's own encoder would not choose: narrow and wide gaps, escapes, every mode.

usage: make_wire_fixtures.py [OUT]      (needs numpy)
"""

import base64
import json
import pathlib
import struct
import sys
import zlib

import numpy as np

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "examples" / "python-client"))
from tandem_wire import decode_compact  # noqa: E402


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


def top(ids, logits, vocab, widths=None, step=None, bound=None, ragged=False, with_ids=True):
    """ids, logits: a list of rows. Rounds the logits to what a reader sees."""
    bits = max(1, (vocab - 1).bit_length())
    head = b"\1" + b"".join(varint(len(row)) for row in ids) if ragged else b"\0"
    stream = pack([(value, bits) for row in ids for value in row]) if with_ids else b""
    if step is None:
        return head + b"\0" + stream + np.concatenate(logits).astype("<f4").tobytes()
    blocks, escapes = b"", b""
    for row in logits:
        first = float(row[0])
        steps = np.round((first - row.astype(np.float64)) / step).astype(int)
        row[:] = (first - steps * float(np.float32(step))).astype(np.float32)
        gaps = np.diff(steps, prepend=0).tolist()
        for group in range(0, len(gaps), 8):
            width = widths[group // 8]
            most = (1 << width) - 1
            blocks += pack([(min(gap, most), width) for gap in gaps[group : group + 8]])
            escapes += b"".join(varint(gap - most) for gap in gaps[group : group + 8] if gap >= most)
    firsts = np.array([row[0] for row in logits], "<f4").tobytes()
    return head + b"\1" + struct.pack("<ff", step, bound) + nibbles(widths) + stream + firsts + blocks + escapes


def grid(logits, step, wider=0):
    """Rounds the logits to multiples of the step."""
    if len(logits) == 0:
        return b""
    multiples = np.round(logits.astype(np.float64) / step).astype(int)
    logits[:] = (multiples * float(np.float32(step))).astype(np.float32)
    largest = int(multiples.max()) + wider
    width = max(1, int(largest - multiples.min()).bit_length())
    return struct.pack("<iB", largest, width) + pack([(largest - m, width) for m in multiples])


def at(lists, step, bound, together=False):
    out = b"".join(varint(len(row)) for row in lists)
    if step is None:
        return out + b"\0" + np.concatenate(lists).astype("<f4").tobytes()
    out += (b"\2" if together else b"\1") + struct.pack("<ff", step, bound)
    if not together:
        return out + b"".join(grid(row, step) for row in lists)
    joined = np.concatenate(lists)
    out += grid(joined, step, wider=3)
    for row, start in zip(lists, np.cumsum([0] + [len(row) for row in lists])):
        row[:] = joined[start : start + len(row)]
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
    data = b"TSF\x03" + struct.pack("<H", parts) + b"".join(varint(v) for v in numbers) + body
    return data + struct.pack("<I", zlib.crc32(data))


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

    # two groups, the second not whole; widths that force escapes, also of three bytes, and waste
    ids, logits = lists_of(rng, 5, 11, 254, 4)
    logits[3] -= np.arange(11, dtype=np.float32) * 90
    body = top(ids, logits, 254, [3, 15], 0.005, 0.0025)
    lse, tail, token, rank = f32(5), f32(5), f32(5), rng.integers(1, 60000, 5)
    body += lse.tobytes() + tail.tobytes() + b"".join(varint(int(r)) for r in rank) + b"\0" + token.tobytes()
    add("quantised", frame(0b11000111, (3, 5, 11, 0, 254), body), top_ids=ids, top_logits=logits, lse=lse, log_tail=tail, token_logit=token, rank=rank)

    # whole groups, narrow ones with escapes and wide ones without; ids of two bytes; the best tokens' logits left out
    ids, logits = lists_of(rng, 4, 24, 49152, 1)
    rank = np.array([0, 3, 0, 700])
    token = np.where(rank == 0, logits[:, 0], f32(4))
    body = top(ids, logits, 49152, [2, 8, 9], 0.01, 0.005)
    body += b"".join(varint(int(r)) for r in rank) + b"\1" + token[rank != 0].astype("<f4").tobytes()
    add("best tokens", frame(0b11000001, (1, 4, 24, 0, 49152), body), top_ids=ids, top_logits=logits, token_logit=token, rank=rank)

    # exact logits, k = V, so that the tail has no mass
    ids, logits = lists_of(rng, 2, 7, 7, 2)
    tail = np.full(2, -np.inf, np.float32)
    body = top(ids, logits, 7) + f32(2).tobytes() + tail.tobytes()
    add("exact", frame(0b111, (1, 2, 7, 0, 7), body), top_ids=ids, top_logits=logits, log_tail=tail)

    # lists of chosen lengths, quantised and exact
    for name, layout in (("ragged lists", {"widths": [4, 1], "step": 0.02, "bound": 0.01}), ("ragged lists, exact", {})):
        ids, logits = lists_of(rng, 4, 10, 151936, 3)
        ids, logits = ([row[:size] for row, size in zip(rows, (1, 10, 8, 3))] for rows in (ids, logits))
        rank, token = np.array([0, 0, 5, 1]), f32(4)
        token[:2] = [logits[0][0], logits[1][0]]
        body = top(ids, logits, 151936, ragged=True, **layout)
        body += b"".join(varint(int(r)) for r in rank) + b"\1" + token[2:].tobytes()
        offsets = np.array([0, 1, 11, 19, 22])
        add(name, frame(0b11000001, (8, 4, 10, 0, 151936), body), top_offsets=offsets, top_ids=np.concatenate(ids), top_logits=np.concatenate(logits), token_logit=token)

    # k = 1, ids of one bit, temperatures per row and shared
    ids = np.array([[1], [0], [1]], np.uint32)
    taus, lse_at = np.abs(f32(3, 2)), f32(3, 2)
    body = top(ids, f32(3, 1), 2, [1], 0.01, 0.005) + b"\0" + taus.tobytes() + lse_at.tobytes()
    add("single ids", frame(0b11001, (900, 3, 1, 2, 2), body), top_ids=ids, taus=taus, lse_at=lse_at)
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
    add("empty", frame(0b11000111, (8, 0, 4, 0, 10), b"\0\1" + struct.pack("<ff", 0.02, 0.01) + b"\1" + b"\0"))
    # parts of bit 16 and up, named behind V
    weights = np.abs(f32(5))
    body = varint(1) + draws(drawn) + weights.tobytes()
    add("weighted draws", frame(1 << 15 | 1 << 12, (70000, 4, 0, 0, 100000), body), draw_ids=[0, 1, 70000, 99999, 12], draw_weights=weights)

    # log-probabilities of tokens, of lists without ids and of the student's ids, the last below one number
    ids, logits = lists_of(rng, 3, 11, 49152, 2)
    logits -= np.float32(9)
    rank, token, lists = np.array([4, 0, 900]), -np.abs(f32(3)), [f32(1), f32(1), f32(2)]
    body = varint(0b110) + top(ids, logits, 49152, [6, 3], 0.02, 0.01, with_ids=False)
    body += b"".join(varint(int(r)) for r in rank)
    body += b"\2" + struct.pack("<ff", 0.02, 0.01) + grid(token, 0.02) + at(lists, 0.02, 0.01, together=True)
    short = frame(1 << 15 | 0b111000001, (2, 3, 11, 0, 49152), body)
    add("short form", short, top_logits=logits, rank=rank, token_logit=token, at_logits=np.concatenate(lists))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(frames, indent=1) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "tests/fixtures/wire/python-frames.json")
