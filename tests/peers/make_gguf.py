"""Writes a Llama checkpoint as GGUF for llama.cpp, without its tokenizer. usage: make_gguf.py MODEL_DIR OUT {f32|f16|q8_0}"""
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file

NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def permuted(weight, heads):
    """Hugging Face rotates halves, GGUF's llama neighbouring pairs."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def main(model_dir, out, kind):
    config = json.loads((Path(model_dir) / "config.json").read_text())
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    quantized = {"f32": Type.F32, "f16": Type.F16, "q8_0": Type.Q8_0}[kind]

    def add(name, weight):
        data = weight.to(torch.float32).numpy()
        form = quantized if data.ndim == 2 else Type.F32
        writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(data), form), raw_dtype=form)

    for name, weight in load_file(Path(model_dir) / "model.safetensors").items():
        if name == "model.embed_tokens.weight":
            add("token_embd.weight", weight)
        elif name == "model.norm.weight":
            add("output_norm.weight", weight)
        elif name == "lm_head.weight":
            add("output.weight", weight)
        else:
            _, _, layer, rest = name.split(".", 3)
            part = rest.removesuffix(".weight")
            if part.endswith(("q_proj", "k_proj")):
                weight = permuted(weight, heads if part.endswith("q_proj") else kv_heads)
            add(f"blk.{layer}.{NAMES[part]}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
