"""Teacher signals as numpy arrays, from either encoding. Needs numpy alone; the formats are those of proto/tandem/v1/signal.proto and
docs/wire-format.md. Written to be read: for speed see Tandem's own decoder."""

import struct
import zlib

import numpy as np


class Damaged(ValueError):
    """The bytes are not what the format says."""


# ── PLAIN ──


def decode_plain(frame):
    """The parts of a tandem.v1.SignalFrame with body `plain`, as a dict of arrays with one row per position."""
    body, n = frame.plain, frame.count
    k, taus = body.top_k, body.tau_count
    out = {"from": getattr(frame, "from"), "count": n}
    if body.log_probs:
        out["log_probs"] = True  # logits are log-probabilities
    # lists of k ids; with `top_p_mass` of chosen lengths: row r's is [top_offsets[r] .. top_offsets[r+1])
    lists = (-1,) if body.top_offsets else (n, k)
    for name, dtype, shape in (
        ("top_offsets", "<u4", (n + 1,)),
        ("top_ids", "<u4", lists),
        ("top_logits", "<f4", lists),
        ("lse", "<f4", (n,)),
        ("log_tail", "<f4", (n,)),
        ("taus", "<f4", (n, taus)),
        ("lse_at", "<f4", (n, taus)),
        ("log_tail_at", "<f4", (n, taus)),
        ("token_logit", "<f4", (n,)),
        ("rank", "<u4", (n,)),
        ("at_offsets", "<u4", (n + 1,)),
        ("at_logits", "<f4", (-1,)),
        ("mean_logit", "<f4", (n,)),
        ("max_logit", "<f4", (n,)),
        ("entropy", "<f4", (n,)),
        ("draw_offsets", "<u4", (n + 1,)),
        ("draw_ids", "<u4", (-1,)),
        ("draw_counts", "<u4", (-1,)),
        ("draw_weights", "<f4", (-1,)),
    ):
        data = getattr(body, name)
        if data:
            out[name] = np.frombuffer(data, dtype).reshape(shape)
    if body.dense_type:
        out["dense"] = np.frombuffer(body.dense, "<f2" if body.dense_type == 1 else "<f4").reshape(n, -1).astype(np.float32)
    if body.hidden:
        out["hidden"] = {h.layer: np.frombuffer(h.values, "<f2").reshape(n, -1).astype(np.float32) for h in body.hidden}
    return out


# ── COMPACT ──


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise Damaged(f"{size} bytes wanted, {len(self.data) - self.at} left")
        piece = self.data[self.at : self.at + size]
        self.at += size
        return piece

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def array(self, dtype, *shape):
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        return np.frombuffer(self.take(size), dtype).reshape(shape)

    def nibbles(self, count):
        data = self.take((count + 1) // 2)
        return [(data[i // 2] >> (4 * (i % 2))) & 15 for i in range(count)]


class _Bits:
    """A bit stream: least significant bits first."""

    def __init__(self, data):
        self.value, self.left, self.at = int.from_bytes(data, "little"), 8 * len(data), 0

    def take(self, bits):
        if self.at + bits > self.left:
            raise Damaged("bit stream is too short")
        piece = (self.value >> self.at) & ((1 << bits) - 1)
        self.at += bits
        return piece

    def bytes_used(self):
        return (self.at + 7) // 8


def _read_gaps(reader, lengths, widths):
    """The steps from logit to logit, all rows behind each other."""
    gaps, escapes = [], []
    for length in lengths:
        for group in range(0, length, 8):
            width, size = widths[group // 8], min(8, length - group)
            stream = _Bits(reader.take((size * width + 7) // 8))
            for _ in range(size):
                gaps.append(stream.take(width))
                if gaps[-1] == (1 << width) - 1:
                    escapes.append(len(gaps) - 1)
    for index in escapes:
        gaps[index] += reader.varint()
    return np.array(gaps, np.int64)


def _read_top(reader, n, k, vocab, with_ids):
    ragged = reader.u8() == 1
    lengths = [reader.varint() for _ in range(n)] if ragged else [k] * n
    offsets = np.cumsum([0] + lengths)
    total = int(offsets[-1])
    quantised = reader.u8() == 1
    if quantised:
        step, _bound = struct.unpack("<ff", reader.take(8))
        widths = reader.nibbles((k + 7) // 8)
    out = {}
    if with_ids:
        bits = max(1, (vocab - 1).bit_length())
        stream = _Bits(reader.take((total * bits + 7) // 8))
        out["top_ids"] = np.array([stream.take(bits) for _ in range(total)], np.uint32)
    if quantised:
        first = np.repeat(reader.array("<f4", n).astype(np.float64), lengths)
        steps = np.cumsum(_read_gaps(reader, lengths, widths))
        # gaps are counted from each row's first logit
        steps -= np.repeat(np.concatenate([[0], steps])[offsets[:-1]], lengths)
        out["top_logits"] = (first - steps * float(step)).astype(np.float32)
    else:
        out["top_logits"] = reader.array("<f4", total)
    if ragged:
        return {"top_offsets": offsets.astype(np.uint32), **out}
    return {name: value.reshape(n, k) for name, value in out.items()}


def _read_at(reader, n):
    offsets = np.cumsum([0] + [reader.varint() for _ in range(n)]).astype(np.uint32)
    mode = reader.u8()
    if mode == 0:
        return offsets, reader.array("<f4", int(offsets[-1]))
    step, _bound = struct.unpack("<ff", reader.take(8))
    sizes = [int(offsets[-1])] if mode == 2 else np.diff(offsets.astype(np.int64))
    return offsets, np.concatenate([_read_grid(reader, int(size), step) for size in sizes] + [[]]).astype(np.float32)


def _read_dense(reader, rows, vocab):
    """All logits: f16, f32, or each row on a grid of its own."""
    kind = reader.u8()
    if kind != 3:
        return reader.array("<f2" if kind == 1 else "<f4", rows, vocab).astype(np.float32)
    step, _bound = struct.unpack("<ff", reader.take(8))
    return np.stack([_read_grid(reader, vocab, step) for _ in range(rows)]).astype(np.float32)


def _read_grid(reader, size, step):
    """Logits as steps below the largest of them, itself a whole number of steps."""
    if size == 0:
        return np.zeros(0)
    (largest,) = struct.unpack("<i", reader.take(4))
    width = reader.u8()
    stream = _Bits(reader.take((size * width + 7) // 8))
    return np.array([(largest - stream.take(width)) * step for _ in range(size)])


def _read_draws(reader, n):
    offsets = np.cumsum([0] + [reader.varint() for _ in range(n)]).astype(np.uint32)
    ids, counts = [], []
    for size in np.diff(offsets.astype(np.int64)):
        last = -1
        for _ in range(size):
            last += reader.varint() + 1
            ids.append(last)
            counts.append(reader.varint() + 1)
    return offsets, np.array(ids, np.uint32), np.array(counts, np.uint32)


def decode_compact(frame):
    """The parts of a CompactSignal.frame as a dict of arrays with one row per position; `top_logits` and `at_logits` are within the
    error bound that was asked for, everything else is exact. Raises Damaged."""
    if frame[:4] != b"TSF\x03":
        raise Damaged("not a compact signal frame of version 3")
    if struct.unpack("<I", frame[-4:])[0] != zlib.crc32(frame[:-4]):
        raise Damaged("checksum")
    reader = _Reader(frame[:-4])
    reader.take(4)
    (parts,) = struct.unpack("<H", reader.take(2))
    first, n, k, taus, vocab = (reader.varint() for _ in range(5))
    if parts >> 15:
        parts = parts & 0x7FFF | reader.varint() << 16
    out = {"from": first, "count": n, "vocab_size": vocab}
    if parts >> 17 & 1:
        out["log_probs"] = True

    def has(bit):
        return parts >> bit & 1

    if has(0):
        out.update(_read_top(reader, n, k, vocab, with_ids=not has(18)))
    for bit, name in ((1, "lse"), (2, "log_tail")):
        if has(bit):
            out[name] = reader.array("<f4", n)
    if has(3):
        shared = reader.u8() == 1
        out["taus"] = np.tile(reader.array("<f4", taus), (n, 1)) if shared else reader.array("<f4", n, taus)
    for bit, name in ((4, "lse_at"), (5, "log_tail_at")):
        if has(bit):
            out[name] = reader.array("<f4", n, taus)
    if has(6):
        out["rank"] = np.array([reader.varint() for _ in range(n)], np.uint32)
    if has(7):
        kind = reader.u8()
        if kind == 0:
            out["token_logit"] = reader.array("<f4", n)
        elif kind == 2:
            step, _bound = struct.unpack("<ff", reader.take(8))
            out["token_logit"] = _read_grid(reader, n, step).astype(np.float32)
        else:
            # a token of rank 0 has its list's first logit
            starts = out["top_offsets"][:-1] if "top_offsets" in out else np.arange(n) * k
            token = out["top_logits"].ravel()[starts].copy()
            below = out["rank"] != 0
            token[below] = reader.array("<f4", int(below.sum()))
            out["token_logit"] = token
    if has(8):
        out["at_offsets"], out["at_logits"] = _read_at(reader, n)
    for bit, name in ((9, "mean_logit"), (10, "max_logit"), (11, "entropy")):
        if has(bit):
            out[name] = reader.array("<f4", n)
    if has(12):
        out["draw_offsets"], out["draw_ids"], out["draw_counts"] = _read_draws(reader, n)
    if has(13):
        out["dense"] = _read_dense(reader, n, vocab)
    if has(14):
        hidden = {}
        for _ in range(reader.varint()):
            layer, width = reader.varint(), reader.varint()
            hidden[layer] = reader.array("<f2", n, width).astype(np.float32)
        out["hidden"] = hidden
    if has(16):
        out["draw_weights"] = reader.array("<f4", len(out["draw_ids"]))
    if reader.at != len(reader.data):
        raise Damaged("bytes are left over")
    return out


def decode(frame):
    """A tandem.v1.SignalFrame of either encoding."""
    return decode_plain(frame) if frame.WhichOneof("body") == "plain" else decode_compact(frame.compact.frame)
