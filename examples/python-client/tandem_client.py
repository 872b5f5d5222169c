"""A Tandem client made of grpcio and the .proto files alone. README.md says how to generate its stubs.

As a program it prints JSON:

    python tandem_client.py --target 127.0.0.1:50051 describe
    python tandem_client.py --target 127.0.0.1:50051 score 1,15,7,22 --top-k 5 --encoding compact
    python tandem_client.py --target 127.0.0.1:50051 generate 1,15,7 --max-response 16
    python tandem_client.py --target 127.0.0.1:50051 interleave 1,15,7 --max-response 16 --block 4
"""

import argparse
import json
import pathlib
import queue
import random
import sys

import grpc
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "generated"))

from tandem.v1 import signal_pb2, teacher_pb2, teacher_pb2_grpc  # noqa: E402

import tandem_wire  # noqa: E402

PLAIN, COMPACT = signal_pb2.ENCODING_PLAIN, signal_pb2.ENCODING_COMPACT


class ItemFailed(Exception):
    """An item was answered by an error; the stream goes on."""

    def __init__(self, error):
        super().__init__(f"item {error.id}: {error.reason or error.code}")
        self.error = error


def u32(values):
    """Token ids and the like as the contract wants them."""
    return np.asarray(values, "<u4").tobytes()


def ids(data):
    return np.frombuffer(data, "<u4")


def ragged(lists):
    """(offsets, values) of one list per row."""
    offsets = np.cumsum([0] + [len(each) for each in lists])
    return u32(offsets), u32(np.concatenate([np.asarray(each, np.int64) for each in lists]) if lists else [])


def signal_spec(top_k=0, encoding=PLAIN, **parts):
    """Which parts of the signal are wanted; see SignalSpec for names."""
    return signal_pb2.SignalSpec(top_k=top_k, encoding=encoding, **parts)


def join_frames(frames):
    """The frames of one item as one dict of arrays. Rows are consecutive."""
    decoded = [tandem_wire.decode(frame) for frame in frames]
    joined = {"from": decoded[0]["from"], "count": sum(each["count"] for each in decoded)}
    for key, first in decoded[0].items():
        if key in ("from", "count", "vocab_size"):
            continue
        if key == "log_probs":
            joined[key] = first
            continue
        if key == "hidden":
            joined[key] = {layer: np.concatenate([each[key][layer] for each in decoded]) for layer in first}
        elif key.endswith("_offsets"):
            ends = np.concatenate([np.diff(each[key].astype(np.int64)) for each in decoded])
            joined[key] = np.concatenate([[0], np.cumsum(ends)])
        else:
            joined[key] = np.concatenate([each[key] for each in decoded])
    return joined


class TeacherClient:
    def __init__(self, target, credentials=None, max_message_bytes=4 << 20):
        options = [
            ("grpc.max_receive_message_length", max_message_bytes),
            # find out about a peer that went silent
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        self.channel = (
            grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
        )
        self.stub = teacher_pb2_grpc.TeacherStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def describe(self, timeout=10):
        return self.stub.Describe(teacher_pb2.DescribeRequest(), timeout=timeout)

    def score(self, items, timeout=None):
        """Yields (id, signal as a dict of arrays, usage) for each ScoreItem as it is finished, in any order.
        Raises ItemFailed for the first item that the teacher refuses."""
        # one item per message keeps every message small; the server batches what is in flight
        requests = (teacher_pb2.ScoreRequest(items=[item]) for item in items)
        parts = {}
        for response in self.stub.Score(requests, timeout=timeout):
            for error in response.errors:
                raise ItemFailed(error)
            for result in response.results:
                parts.setdefault(result.id, []).extend(result.frames)
                if result.last:
                    frames = parts.pop(result.id)
                    yield result.id, join_frames(frames) if frames else {}, result.usage

    def generate(self, prompts, max_response, *, sampling=None, stop_ids=(), signal=None, run_seed=0, timeout=None):
        """Prompts by sequence number → {sequence: (tokens, finish, signal)}. The teacher writes."""
        request = teacher_pb2.GenerateRequest(
            items=[
                teacher_pb2.GenerateItem(sequence=number, rng_key=number, prompt=u32(prompt))
                for number, prompt in prompts.items()
            ],
            sampling=sampling or teacher_pb2.Sampling(),
            max_response=max_response,
            stop_ids=stop_ids,
            run_seed=run_seed,
            signal=signal,
        )
        chunks = {number: [] for number in prompts}
        for response in self.stub.Generate(request, timeout=timeout):
            for error in response.errors:
                raise ItemFailed(error)
            for chunk in response.chunks:
                chunks[chunk.sequence].append(chunk)
        out = {}
        for number, its in chunks.items():
            tokens = np.concatenate([ids(chunk.tokens) for chunk in its]) if its else np.zeros(0, np.uint32)
            frames = [frame for chunk in its for frame in chunk.frames]
            finish = max((chunk.finish for chunk in its), default=0)
            out[number] = (tokens.tolist(), teacher_pb2.Finish.Name(finish), join_frames(frames) if frames else {})
        return out

    def interleave(self, timeout=None):
        return InterleaveStream(self.stub, timeout)


class InterleaveStream:
    """A stream of draft blocks and verdicts. Use it in a `with`: sessions live as long as the stream does."""

    def __init__(self, stub, timeout):
        self.requests = queue.SimpleQueue()
        self.responses = stub.Interleave(iter(self.requests.get, None), timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.requests.put(None)
        self.responses.cancel()

    def send(self, **fields):
        self.requests.put(teacher_pb2.InterleaveRequest(**fields))

    def open(self, **fields):
        """Begins a sequence; the fields of Open, token lists as bytes (see `u32`)."""
        self.send(opens=[teacher_pb2.Open(**fields)])

    def judge(self, sequence, start, replacements_seen, tokens, **fields):
        """Sends one block and waits for its verdict: (verdict, signal of the kept positions)."""
        draft = teacher_pb2.Draft(
            sequence=sequence, start=start, replacements_seen=replacements_seen, tokens=u32(tokens), **fields
        )
        self.send(drafts=[draft])
        frames = []
        for response in self.responses:
            for error in response.errors:
                raise ItemFailed(error)
            for verdict in response.verdicts:
                if (verdict.sequence, verdict.start) != (sequence, start):
                    continue
                frames.extend(verdict.frames)
                if verdict.last:
                    return verdict, join_frames(frames) if frames else {}
        raise EOFError("the teacher ended the stream")


def write_together(client, prompt, propose, *, max_response, block=8, timeout=None, **opening):
    """Speculative knowledge distillation of one sequence, the simple way: one block at a time.

    propose(tokens, count) → up to `count` tokens that the student would write next.
    Returns (response tokens, who wrote each: 0 student, 1 teacher, finish, list of signals)."""
    response, authors, signals, replacements = [], [], [], 0
    finish = teacher_pb2.FINISH_UNSPECIFIED
    with client.interleave(timeout) as stream:
        stream.open(sequence=1, prompt=u32(prompt), max_response=max_response, **opening)
        while finish == teacher_pb2.FINISH_UNSPECIFIED:
            room = max_response - len(response)
            drafts = propose(list(prompt) + response, min(block, room))
            verdict, signal = stream.judge(1, len(response), replacements, drafts)
            response += list(drafts[: verdict.accepted])
            authors += [0] * verdict.accepted
            if verdict.HasField("replacement"):
                response.append(verdict.replacement)
                authors.append(1)
                replacements += 1
            if signal:
                signals.append(signal)
            finish = verdict.finish
    return response, authors, teacher_pb2.Finish.Name(finish), signals


# ── the program ──


def plain_json(value):
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="127.0.0.1:50051")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("describe")
    for name in ("score", "generate", "interleave"):
        command = commands.add_parser(name)
        command.add_argument("tokens", type=lambda text: [int(part) for part in text.split(",")])
        command.add_argument("--top-k", type=int, default=5)
        command.add_argument("--encoding", choices=("plain", "compact"), default="plain")
        if name != "score":
            command.add_argument("--max-response", type=int, default=16)
            command.add_argument("--temperature", type=float, default=0.0)
        if name == "interleave":
            command.add_argument("--block", type=int, default=4)
            command.add_argument("--accept-rank", type=int, default=25)
    options = parser.parse_args()
    with TeacherClient(options.target) as client:
        about = client.describe()
        if options.command == "describe":
            print(about)
            return
        spec = signal_spec(options.top_k, COMPACT if options.encoding == "compact" else PLAIN, token=True)
        if options.command == "score":
            item = teacher_pb2.ScoreItem(id=1, tokens=u32(options.tokens), signal=spec, **{"from": 1})
            results = [signal for _, signal, _ in client.score([item])]
        elif options.command == "generate":
            sampling = teacher_pb2.Sampling(temperature=options.temperature)
            results = client.generate(
                {1: options.tokens}, options.max_response, sampling=sampling, stop_ids=about.eos_ids, signal=spec
            )
        else:
            student = random.Random(1)
            results = write_together(
                client,
                options.tokens,
                # a student that knows nothing: the teacher writes nearly everything
                lambda _, count: [student.randrange(about.vocab_size) for _ in range(count)],
                max_response=options.max_response,
                block=options.block,
                stop_ids=about.eos_ids,
                rule=teacher_pb2.AcceptanceRule(rank=options.accept_rank),
                sampling=teacher_pb2.Sampling(temperature=options.temperature),
                signal=spec,
            )
        print(json.dumps(results, default=plain_json))


if __name__ == "__main__":
    main()
