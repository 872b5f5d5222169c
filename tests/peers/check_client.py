"""Drives a running teacher-server with examples/python-client and compares everything with transformers.

usage: check_client.py
Each line of standard input is a JSON object: target, model (directory), and optionally positions, sequences, topK, tolerance. For each
one it prints a line of JSON: `worst`, the largest difference of each part, or `error`, what exceeded its tolerance.

The model is computed in float32 by transformers; differences between two float32 implementations of a network this deep are what the
tolerances allow. Ranks and ids may differ only where logits are closer than that.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "examples" / "python-client"))
import tandem_client as tandem  # noqa: E402
from tandem.v1 import error_pb2  # noqa: E402
from tandem_client import signal_pb2, teacher_pb2, u32  # noqa: E402

TAUS = [0.5, 2.0]


class Check:
    def __init__(self, tolerance):
        self.tolerance, self.worst = tolerance, {}

    def close(self, name, actual, expected, tolerance=None):
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        assert actual.shape == expected.shape, f"{name}: shape {actual.shape}, expected {expected.shape}"
        same = actual == expected  # equal infinities
        difference = float(np.max(np.where(same, 0, np.abs(actual - expected)), initial=0))
        self.worst[name] = max(self.worst.get(name, 0), difference)
        limit = self.tolerance if tolerance is None else tolerance
        assert difference <= limit, f"{name} is off by {difference}, allowed {limit}"

    def true(self, name, holds):
        assert holds, name


def laws(model, tokens):
    """float64 logits [T, V] and hidden states of every layer, of the sequence's positions."""
    with torch.no_grad():
        out = model(torch.tensor([tokens]), output_hidden_states=True)
    return out.logits[0].double().numpy(), [h[0].numpy() for h in out.hidden_states]


def log_sum_exp(x):
    high = x.max(-1, keepdims=True)
    return (high + np.log(np.exp(x - high).sum(-1, keepdims=True)))[..., 0]


def check_top(check, signal, logits, k, slack):
    rows = np.arange(len(logits))[:, None]
    best = -np.sort(-logits, axis=-1)[:, :k]
    check.close("top_logits", signal["top_logits"], best, slack)
    # the ids named must have the logits named: other ids only where logits tie within the tolerance
    check.close("top_ids' logits", logits[rows, signal["top_ids"]], best)
    inside = np.zeros(logits.shape, bool)
    inside[rows, signal["top_ids"]] = True
    check.true("top ids are distinct", (inside.sum(-1) == k).all())
    outside = np.where(inside, -np.inf, logits)
    if k < logits.shape[1]:
        check.close("log_tail", signal["log_tail"], log_sum_exp(outside) - log_sum_exp(logits), 1e-3)
    for j, tau in enumerate(TAUS):
        check.close("lse_at", signal["lse_at"][:, j], log_sum_exp(logits / tau), 4 * check.tolerance)
        if k < logits.shape[1]:
            tail = log_sum_exp(outside / tau) - log_sum_exp(logits / tau)
            check.close("log_tail_at", signal["log_tail_at"][:, j], tail, 4e-3)


def check_signal(check, signal, logits, targets, at_lists, encoding, k):
    slack = check.tolerance + (0.01 if encoding == tandem.COMPACT else 0)
    rows = np.arange(len(targets))
    check_top(check, signal, logits, k, slack)
    lse = log_sum_exp(logits)
    check.close("lse", signal["lse"], lse)
    own = logits[rows, targets]
    check.close("token_logit", signal["token_logit"], own)
    for margin, compare in ((check.tolerance, np.less_equal), (-check.tolerance, np.greater_equal)):
        bound = (logits > own[:, None] - margin).sum(-1)
        check.true("rank", compare(signal["rank"], bound).all())
    law = np.exp(logits - lse[:, None])
    check.close("entropy", signal["entropy"], -(law * (logits - lse[:, None])).sum(-1), 1e-3)
    check.close("mean_logit", signal["mean_logit"], logits.mean(-1))
    check.close("max_logit", signal["max_logit"], logits.max(-1))
    expected = np.concatenate([logits[i, np.array(each, int)] for i, each in enumerate(at_lists)])
    check.close("at_logits", signal["at_logits"], expected, slack)
    check.true("draws", (np.add.reduceat(signal["draw_counts"], signal["draw_offsets"][:-1].astype(int)) == 20).all())


def check_score(client, model, options, check):
    about = client.describe()
    vocab, k = about.vocab_size, min(options["topK"], about.vocab_size)
    small = vocab <= 1024
    rng = np.random.default_rng(3)
    sequences = [rng.integers(0, vocab, options["positions"] - 7 * i).tolist() for i in range(options["sequences"])]
    lists = [[rng.integers(0, vocab, rng.integers(0, 6)).tolist() for _ in its[4:]] for its in sequences]
    expected = [laws(model, its) for its in sequences]
    signals = {}
    for encoding in (tandem.PLAIN, tandem.COMPACT):
        spec = tandem.signal_spec(k, encoding, token=True, moments=True, taus=TAUS, draws=20)
        if small:
            spec.dense = signal_pb2.DENSE_TYPE_F32
            spec.hidden_layers.extend(range(about.layers + 1))
        items = []
        for number, tokens in enumerate(sequences):
            offsets, at_ids = tandem.ragged(lists[number])
            fields = {"id": number + 1, "tokens": u32(tokens), "from": 4, "signal": spec}
            items.append(teacher_pb2.ScoreItem(at_offsets=offsets, at_ids=at_ids, run_seed=1, rng_key=number, **fields))
        results = {number: signal for number, signal, _ in client.score(items, timeout=300)}
        for number, tokens in enumerate(sequences):
            signal = results[number + 1]
            check.true("from and count", (signal["from"], signal["count"]) == (4, len(tokens) - 4))
            logits, hidden = expected[number]
            rows = slice(3, len(tokens) - 1)
            check_signal(check, signal, logits[rows, :vocab], np.array(tokens[4:]), lists[number], encoding, k)
            if small:
                slack = 0.01 if encoding == tandem.COMPACT else 0
                check.close("dense", signal["dense"], logits[rows, :vocab], check.tolerance + slack)
                for layer in range(about.layers):  # transformers' last one is behind the final norm
                    check.close("hidden", signal["hidden"][layer], hidden[layer][rows], 5e-3)
            signals.setdefault(number, []).append(signal)
    for plain, compact in signals.values():
        for name, values in plain.items():
            if name not in ("top_logits", "at_logits", "dense", "hidden", "from", "count"):
                check.true(f"{name} has the same bits in both encodings", np.array_equal(values, compact[name]))
        check.close("compact top_logits", compact["top_logits"], plain["top_logits"], 0.01)
        check.close("compact at_logits", compact["at_logits"], plain["at_logits"], 0.01)
        if small:
            check.close("compact dense", compact["dense"], plain["dense"], 0.01)
    check_log_probs(client, sequences[0], expected[0][0], k, check)


def check_log_probs(client, tokens, logits, k, check):
    """The short form: log-probabilities alone, the list without ids."""
    law = logits[: len(tokens) - 1, : client.describe().vocab_size]
    law = law - log_sum_exp(law)[:, None]
    own = law[np.arange(len(law)), tokens[1:]]
    for encoding, slack in ((tandem.PLAIN, 0), (tandem.COMPACT, 0.01)):
        spec = tandem.signal_spec(k, encoding, token=True, log_probs=True, omit_top_ids=True)
        offsets, at_ids = tandem.ragged([[token] for token in tokens[1:]])
        item = {"id": 1, "tokens": u32(tokens), "from": 1, "signal": spec, "at_offsets": offsets, "at_ids": at_ids}
        ((_, signal, _),) = client.score([teacher_pb2.ScoreItem(**item)], timeout=300)
        check.true("the parts of the short form", not {"top_ids", "lse", "log_tail"} & signal.keys() and signal["log_probs"])
        check.close("sorted log-probabilities", signal["top_logits"], -np.sort(-law, axis=-1)[:, :k], check.tolerance + slack)
        check.close("the token's log-probability", signal["token_logit"], own, check.tolerance + slack)
        check.close("log-probabilities at ids", signal["at_logits"], own, check.tolerance + slack)


# ── Interleave and Generate against a token-by-token loop ──


def philox_uniform(key, counter):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c3 ^ k1, p0 & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return ((c0 >> 5) * 2**26 + (c1 >> 6)) / 2**53


def sample(row, temperature, uniform):
    if temperature == 0:
        return int(np.argmax(row))
    running = np.cumsum(np.exp((row - row.max()) / temperature))
    return int(np.argmax(running > uniform * running[-1]))


class Oracle:
    """The teacher's next-token law, one position at a time."""

    def __init__(self, model, vocab):
        self.model, self.vocab = model, vocab

    def __call__(self, tokens):
        return laws(self.model, tokens)[0][-1, : self.vocab]


def written_alone(law, prompt, propose, rule, temperature, length, stops, seed, rng_key):
    tokens, authors = list(prompt), []
    while len(authors) < length:
        row = law(tokens)
        draft = propose(tokens, 1)[0]
        if rule(row, draft):
            token, author = draft, 0
        else:
            uniform = philox_uniform((seed, 0x54414E44), (rng_key, len(authors), 1, 0))
            token, author = sample(row, temperature, uniform), 1
        tokens.append(token)
        authors.append(author)
        if token in stops:
            break
    return tokens[len(prompt) :], authors


def mass_above(row, token):
    law = np.exp(row - row.max())
    return law[row > row[token]].sum() / law.sum()


def check_writing(client, model, check):
    about = client.describe()
    law = Oracle(model, about.vocab_size)
    prompt = [5, 3, 9]
    length, stops = 12, [7]

    def propose(tokens, count):
        """A student that depends on what was written: a fixed scramble of it."""
        drafts = []
        for _ in range(count):
            drafts.append((31 * sum(tokens + drafts) + 7 * len(tokens + drafts)) % about.vocab_size)
        return drafts

    rank = about.vocab_size // 2
    rules = {
        "rank": (teacher_pb2.AcceptanceRule(rank=rank), lambda row, t: (row > row[t]).sum() < rank),
        "top_p": (teacher_pb2.AcceptanceRule(top_p=0.7), lambda row, t: mass_above(row, t) < 0.7),
        "greedy": (teacher_pb2.AcceptanceRule(greedy=True), lambda row, t: row[t] == row.max()),
    }
    blocks = (1, 3, 8)
    if about.vocab_size > 1024:  # the loop computes every prefix afresh: one case is enough for a large model
        rules, blocks = {"top_p": rules["top_p"]}, (3,)
    for name, (rule, oracle_rule) in rules.items():
        for temperature in (0.0, 1.0):
            expected = written_alone(law, prompt, propose, oracle_rule, temperature, length, stops, 11, 6)
            for block in blocks:
                tokens, authors, finish, _ = tandem.write_together(
                    client,
                    prompt,
                    propose,
                    max_response=length,
                    block=block,
                    rng_key=6,
                    run_seed=11,
                    stop_ids=stops,
                    rule=rule,
                    sampling=teacher_pb2.Sampling(temperature=temperature),
                    signal=tandem.signal_spec(4, token=True),
                    timeout=60,
                )
                where = f"interleave, rule {name}, temperature {temperature}, block {block}"
                check.true(f"{where}: {tokens}, {authors}; expected {expected}", (tokens, authors) == expected)
                check.true(f"{where}: {finish}", finish == ("FINISH_STOP" if tokens[-1] in stops else "FINISH_LENGTH"))
    for temperature in (0.0, 1.0):
        expected, _ = written_alone(law, prompt, lambda *_: [0], lambda *_: False, temperature, length, stops, 11, 6)
        sampling = teacher_pb2.Sampling(temperature=temperature)
        tokens, _, signal = client.generate(
            {6: prompt}, length, sampling=sampling, stop_ids=stops, run_seed=11, signal=tandem.signal_spec(4, token=True)
        )[6]
        check.true(f"generate, temperature {temperature}: {tokens}; expected {expected}", tokens == expected)
        check.true("generate's signal covers its tokens", (signal["from"], signal["count"]) == (3, len(tokens)))


def check_refusals(client, check):
    about = client.describe()
    invalid, damaged = error_pb2.ERROR_CODE_INVALID_ARGUMENT, error_pb2.ERROR_CODE_DATA_LOSS
    for tokens, code in ((u32([about.vocab_size]), invalid), (b"abc", damaged), (b"", invalid)):
        item = teacher_pb2.ScoreItem(id=1, signal=tandem.signal_spec(1), tokens=tokens, **{"from": 1})
        try:
            list(client.score([item], timeout=20))
            check.true(f"{tokens} is refused", False)
        except tandem.ItemFailed as failure:
            check.true(f"{tokens}: {failure.error}", failure.error.code == code and failure.error.reason != "")


DEFAULTS = {"positions": 40, "sequences": 3, "topK": 64, "tolerance": 2e-4}


def run(options):
    model = AutoModelForCausalLM.from_pretrained(options["model"], dtype=torch.float32).eval()
    check = Check(options["tolerance"])
    with tandem.TeacherClient(options["target"]) as client:
        check_score(client, model, options, check)
        check_writing(client, model, check)
        check_refusals(client, check)
    return check.worst


def main():
    torch.set_num_threads(1)
    disable_progress_bar()
    for line in sys.stdin:
        try:
            answer = {"worst": run({**DEFAULTS, **json.loads(line)})}
        except Exception as failed:  # noqa: BLE001 - told to whoever asked
            answer = {"error": f"{type(failed).__name__}: {failed}"}
        print(json.dumps(answer), flush=True)


main()
