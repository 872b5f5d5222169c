"""Writes tests/fixtures/models/NAME/projections.safetensors: what transformers' modules project for attention, in float64, for the tokens
of expected.safetensors (make_tiny_models.py, which removes them). Run: $TANDEM_PYTHON tests/peers/make_projection_fixtures.py"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

MODELS = Path(__file__).resolve().parent.parent / "fixtures" / "models"


def main():
    for name in ("llama-bias", "llama-tied", "mistral", "qwen2", "qwen3", "gpt2"):
        model = AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32).double().eval()
        tokens = load_file(MODELS / name / "expected.safetensors")["tokens"].long()[None]
        seen = {}

        def keep(key):
            return lambda module, inputs, output: seen.__setitem__(key, output[0])

        for path, module in model.named_modules():
            parts = path.split(".")
            if parts[-1] in ("q_proj", "k_proj", "v_proj"):
                module.register_forward_hook(keep((parts[-1][0], int(parts[2]) + 1)))
            if parts[-1] == "c_attn":
                module.register_forward_hook(keep(("qkv", int(parts[2]) + 1)))
        with torch.no_grad():
            model(tokens)
        tensors = {}
        for (kind, block), value in seen.items():
            parts = zip("qkv", value.chunk(3, -1)) if kind == "qkv" else [(kind, value)]
            for letter, own in parts:
                tensors[f"{letter}.{block}"] = own.float().contiguous()
        save_file(tensors, MODELS / name / "projections.safetensors")


if __name__ == "__main__":
    main()
