"""Writes tests/fixtures/models: tiny random models saved by transformers, each with what transformers computes for one row of
tokens in float64 (expected.safetensors, everything stored as F32). Run: $TANDEM_PYTHON tests/peers/make_tiny_models.py"""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "models"
V, D, F, LAYERS, HEADS, KV_HEADS, POSITIONS, TOP, TAU = 97, 16, 24, 2, 4, 2, 24, 8, 2.5

COMMON = dict(
    vocab_size=V, hidden_size=D, intermediate_size=F, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
    num_key_value_heads=KV_HEADS, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=2,
)
LLAMA3 = dict(rope_type="llama3", rope_theta=100.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
MODELS = {
    "llama-tied": LlamaConfig(**COMMON, tie_word_embeddings=True),
    "llama-bias": LlamaConfig(**COMMON, attention_bias=True, mlp_bias=True, head_dim=8),
    "llama-rope-llama3": LlamaConfig(**COMMON, rope_parameters=LLAMA3),
    "llama-rope-linear": LlamaConfig(
        **COMMON, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0)),
    "llama-sharded": LlamaConfig(**COMMON),
    "llama-f16": LlamaConfig(**COMMON, tie_word_embeddings=True),
    "llama-bf16": LlamaConfig(**COMMON),
    "mistral": MistralConfig(**COMMON, sliding_window=None),
    "qwen2": Qwen2Config(**COMMON),
    "qwen3": Qwen3Config(**COMMON, head_dim=8),
    "gpt2": GPT2Config(vocab_size=V, n_embd=D, n_layer=LAYERS, n_head=HEADS, n_positions=128,
                       bos_token_id=1, eos_token_id=2),
    "gpt2-bare": GPT2Config(vocab_size=V, n_embd=D, n_layer=LAYERS, n_head=HEADS, n_positions=128,
                            bos_token_id=1, eos_token_id=2),
}
DTYPES = {"llama-f16": torch.float16, "llama-bf16": torch.bfloat16}


def make(name, config, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        # Weights large enough that logits are far from uniform; norms and biases away from one and zero.
        for key, parameter in model.named_parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.35)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    model = model.to(DTYPES.get(name, torch.float32)).eval()
    where = OUT / name
    shutil.rmtree(where, ignore_errors=True)
    model.save_pretrained(where, max_shard_size="9KB" if name == "llama-sharded" else "1GB")
    (where / "generation_config.json").unlink(missing_ok=True)
    if name == "gpt2-bare":
        weights = load_file(where / "model.safetensors")
        bare = {key.removeprefix("transformer."): value for key, value in weights.items()}
        save_file(bare, where / "model.safetensors", metadata={"format": "pt"})
    # Loaded anew: casting a model to f16 would also have rounded its rotary frequencies.
    loaded = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float64).eval()
    save_file(expected(loaded, seed), where / "expected.safetensors")


def expected(model, seed):
    tokens = torch.randint(0, V, (1, POSITIONS), generator=torch.Generator().manual_seed(1000 + seed))
    with torch.no_grad():
        out = model(tokens, output_hidden_states=True)
    u = out.logits[0].double()  # [T,V]
    p = u.softmax(-1)
    targets = torch.roll(tokens[0], -1)  # the last position refers to the first token
    own = u.gather(1, targets[:, None])
    top = u.topk(TOP, dim=-1)
    tail = p.scatter(1, top.indices, 0.0).sum(-1).log()
    parts = dict(
        tokens=tokens[0], targets=targets, logits=u, lse=u.logsumexp(-1), lse_at=(u / TAU).logsumexp(-1),
        log_tail=tail, entropy=-(p * u.log_softmax(-1)).sum(-1), mean=u.mean(-1), max=u.amax(-1),
        token_logit=own[:, 0], rank=(u > own).sum(-1), top_ids=top.indices, top_logits=top.values,
        hidden_0=out.hidden_states[0][0], hidden_1=out.hidden_states[1][0],
    )
    return {key: value.to(torch.float32).contiguous() for key, value in parts.items()}


for seed, (name, config) in enumerate(MODELS.items()):
    make(name, config, seed)
    print(name, sum(f.stat().st_size for f in (OUT / name).iterdir()), "bytes")
