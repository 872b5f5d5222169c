"""The peer of `npm run bench -- skd`: the same interleaved loop written with transformers, one row at a time and all rows batched.

usage: bench_skd.py, lines of JSON on stdin and stdout. The first line is the job: teacher, student (directories), maxResponse, stopIds, blockLength,
rows (written at once), acceptRank, topK (of the signal), studentSampling and teacherSampling {temperature, topK, topP}, threads. Every further line {mode: "one" | "batched",
prompts: lists of ids} is written and answered by {kept, seconds, judged, accepted}.

Both loops keep the caches of both models and bring the signal that a loss needs (top-k, normaliser) for every kept position. The batched one
never moves a cache: what was rejected stays in it behind a mask, and each row has its own position ids.
"""
import json, sys, time

import torch
from transformers import AutoModelForCausalLM, DynamicCache


def sample(logits, temperature, top_k, top_p):
    """Temperature, top-k, top-p, as transformers' warpers do; logits [B,V] -> [B]."""
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k > 0:
        floor = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < floor, -torch.inf)
    if top_p < 1:
        ordered, index = logits.sort(-1, descending=True)
        mass = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        dropped = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, index, mass >= top_p)
        logits = logits.masked_fill(dropped, -torch.inf)
    return torch.multinomial(logits.softmax(-1), 1)[:, 0]


def judge(logits, drafts, job):
    """How many of a row's drafts pass, and the teacher's token in place of the first that does not. logits [g,V], drafts [g]."""
    ranks = (logits > logits.gather(-1, drafts[:, None])).sum(-1)
    rejected = (ranks >= job["acceptRank"]).nonzero()
    accepted = int(rejected[0]) if len(rejected) else len(drafts)
    replacement = None
    if accepted < len(drafts):
        replacement = int(sample(logits[accepted : accepted + 1], *job["teacherSampling"])[0])
    return accepted, replacement


def take_signal(logits, top_k):
    return logits.topk(top_k), logits.logsumexp(-1)


def keep(text, drafts, accepted, replacement, job):
    """Appends what is kept; true when the text is over."""
    for token in drafts[:accepted] + ([] if replacement is None else [replacement]):
        text.append(token)
        if token in job["stopIds"] or len(text) >= job["maxResponse"]:
            return True
    return False


def one_row(student, teacher, prompt, job, counts):
    text, caches, over = [], (DynamicCache(), DynamicCache()), False
    while not over:
        drafts, room = [], job["maxResponse"] - len(text)
        while len(drafts) < min(job["blockLength"], room) and not (drafts and drafts[-1] in job["stopIds"]):
            known = prompt + text + drafts
            fed = torch.tensor([known[caches[0].get_seq_length() :]])
            logits = student(fed, past_key_values=caches[0], logits_to_keep=1).logits[:, -1]
            drafts.append(int(sample(logits, *job["studentSampling"])[0]))
        known = prompt + text + drafts[:-1]
        fed = torch.tensor([known[caches[1].get_seq_length() :]])
        logits = teacher(fed, past_key_values=caches[1], logits_to_keep=len(drafts)).logits[0]
        accepted, replacement = judge(logits, torch.tensor(drafts), job)
        take_signal(logits[: accepted + (replacement is not None)], job["topK"])
        over = keep(text, drafts, accepted, replacement, job)
        counts["judged"] += accepted + (replacement is not None)
        counts["accepted"] += accepted
        for cache in caches:
            extra = cache.get_seq_length() - (len(prompt) + len(text) - (replacement is not None))
            if extra > 0:
                cache.crop(-extra)
    return len(text)


class Rows:
    """A model with one cache for all rows. Each row's valid entries are marked; new tokens go behind everything for all rows at once."""

    def __init__(self, model, rows):
        self.model, self.cache = model, DynamicCache()
        self.mask = torch.zeros(rows, 0, dtype=torch.long)
        self.known = torch.zeros(rows, dtype=torch.long)  # tokens of each row that the cache holds

    def feed(self, tokens, logits_to_keep):
        """tokens: a list of ids per row, padded on the left here. Returns logits [B,logits_to_keep,V]."""
        width = max(map(len, tokens))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in tokens])
        new = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in tokens])
        self.mask = torch.cat([self.mask, new], 1)
        positions = (self.known[:, None] + new.cumsum(1) - 1).clamp(min=0)
        self.known += new.sum(1)
        out = self.model(ids, past_key_values=self.cache, attention_mask=self.mask, position_ids=positions, logits_to_keep=logits_to_keep)
        return out.logits

    def forget(self, row, count):
        """Masks the last `count` tokens of a row."""
        valid = self.mask[row].nonzero()[:, 0]
        self.mask[row, valid[len(valid) - count :]] = 0
        self.known[row] -= count


def batched(student, teacher, prompts, job, counts):
    rows = len(prompts)
    texts, over = [[] for _ in prompts], [False] * rows
    own, judge_rows = Rows(student, rows), Rows(teacher, rows)
    while not all(over):
        drafts = [[] for _ in prompts]
        for _ in range(job["blockLength"]):
            # Rows that are over go along: a batch has one shape.
            fed = [(prompts[r] + texts[r] + drafts[r])[int(own.known[r]) :] or [0] for r in range(rows)]
            spare = [len(row) and int(own.known[r]) >= len(prompts[r]) + len(texts[r]) + len(drafts[r]) for r, row in enumerate(fed)]
            tokens = sample(own.feed(fed, 1)[:, -1], *job["studentSampling"])
            for r in range(rows):
                if spare[r]:
                    own.forget(r, 1)
                drafts[r].append(int(tokens[r]))
        fed = [(prompts[r] + texts[r] + drafts[r][:-1])[int(judge_rows.known[r]) :] for r in range(rows)]
        logits = judge_rows.feed(fed, job["blockLength"])
        for r in range(rows):
            if over[r]:
                own.forget(r, int(own.known[r]) - len(prompts[r]) - len(texts[r]) + 1)
                judge_rows.forget(r, int(judge_rows.known[r]) - len(prompts[r]) - len(texts[r]) + 1)
                continue
            cut = next((i + 1 for i, token in enumerate(drafts[r]) if token in job["stopIds"]), len(drafts[r]))
            cut = min(cut, job["maxResponse"] - len(texts[r]))
            accepted, replacement = judge(logits[r, :cut], torch.tensor(drafts[r][:cut]), job)
            take_signal(logits[r, : accepted + (replacement is not None)], job["topK"])
            over[r] = keep(texts[r], drafts[r][:cut], accepted, replacement, job)
            counts["judged"] += accepted + (replacement is not None)
            counts["accepted"] += accepted
            for model in (own, judge_rows):
                extra = int(model.known[r]) - (len(prompts[r]) + len(texts[r]) - 1)
                if extra > 0:
                    model.forget(r, extra)
    return sum(map(len, texts))


def main():
    job = json.loads(sys.stdin.readline())
    for who in ("student", "teacher"):
        options = job[who + "Sampling"]
        job[who + "Sampling"] = (options["temperature"], options["topK"], options["topP"])
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    load = lambda path: AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa").eval()
    student, teacher = load(job["student"]), load(job["teacher"])
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        prompts, counts = order["prompts"], {"judged": 0, "accepted": 0}
        begin = time.perf_counter()
        with torch.inference_mode():
            if order["mode"] == "batched":
                batches = [prompts[i : i + job["rows"]] for i in range(0, len(prompts), job["rows"])]
                kept = sum(batched(student, teacher, batch, job, counts) for batch in batches)
            else:
                kept = sum(one_row(student, teacher, prompt, job, counts) for prompt in prompts)
        print(json.dumps({"kept": kept, "seconds": time.perf_counter() - begin, **counts}), flush=True)


if __name__ == "__main__":
    main()
