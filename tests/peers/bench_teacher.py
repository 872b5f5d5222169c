"""A peer of `npm run bench -- teacher`: transformers computing what the teacher's signal holds.
setup: dir, sequences, topK, threads, precision (float32 | bfloat16), mode (sdpa | eager | compiled), rowsPerRun."""
import torch
import transformers
from transformers import AutoModelForCausalLM

from peer_loop import serve


def prepare(setup):
    torch.set_num_threads(setup["threads"])
    mode, top_k = setup["mode"], setup["topK"]
    model = AutoModelForCausalLM.from_pretrained(
        setup["dir"],
        dtype=getattr(torch, setup["precision"]),
        attn_implementation="eager" if mode == "eager" else "sdpa",
    ).eval()
    forward = torch.compile(model) if mode == "compiled" else model
    ids = torch.tensor(setup["sequences"])

    @torch.inference_mode()
    def measure():
        for rows in ids.split(setup["rowsPerRun"]):
            logits = forward(rows).logits.float()
            top = logits.topk(top_k)
            lse = logits.logsumexp(-1)
            torch.log(-torch.expm1((top.values.logsumexp(-1) - lse).clamp(max=-1e-7)))
            token = logits[:, :-1].gather(-1, rows[:, 1:, None])
            (logits[:, :-1] > token).sum(-1)

    @torch.inference_mode()
    def laws():
        return model(ids[:1]).logits[0].float().numpy()

    return {"version": f"{transformers.__version__}, torch {torch.__version__}"}, measure, laws


serve(prepare)
