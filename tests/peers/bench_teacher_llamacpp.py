"""A peer of `npm run bench -- teacher`: llama.cpp, all sequences in one batch, the signal's numbers by numpy.
Needs llama-cpp-python. setup: gguf, sequences, topK, threads. "decode" is the time without numpy's part."""
import ctypes
import time

import llama_cpp
import numpy as np

from peer_loop import serve


def prepare(setup):
    sequences, top_k = setup["sequences"], setup["topK"]
    length, rows = len(sequences[0]), len(sequences)
    params = llama_cpp.llama_model_default_params()
    # Its AMX kernels for q8_0 crash on this width (0.3.36).
    params.use_extra_bufts = False
    model = llama_cpp.llama_load_model_from_file(setup["gguf"].encode(), params)
    V = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    options = llama_cpp.llama_context_default_params()
    options.n_ctx = rows * (length + 8)
    options.n_batch = options.n_ubatch = 512
    options.n_seq_max = rows
    options.n_threads = options.n_threads_batch = setup["threads"]
    context = llama_cpp.llama_new_context_with_model(model, options)
    batch = llama_cpp.llama_batch_init(512, 0, 1)
    step = max(1, 512 // length)

    def logits_of(first):
        chosen = list(enumerate(sequences))[first : first + step]
        batch.n_tokens = 0
        for row, tokens in chosen:
            for position, token in enumerate(tokens):
                at = batch.n_tokens
                batch.token[at], batch.pos[at], batch.logits[at] = token, position, 1
                batch.n_seq_id[at], batch.seq_id[at][0] = 1, row
                batch.n_tokens += 1
        if llama_cpp.llama_decode(context, batch) != 0:
            raise RuntimeError("llama_decode")
        count = batch.n_tokens
        pointer = ctypes.cast(llama_cpp.llama_get_logits(context), ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(pointer, shape=(count, V))

    def clear():
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)

    def measure():
        clear()
        decode = 0.0
        for first in range(0, rows, step):
            begin = time.perf_counter()
            logits = logits_of(first)
            decode += time.perf_counter() - begin
            ids = np.argpartition(logits, V - top_k, axis=1)[:, V - top_k :]
            top = np.take_along_axis(logits, ids, 1)
            highest = top.max(1, keepdims=True)
            lse = highest[:, 0] + np.log(np.exp(logits - highest).sum(1))
            np.log1p(-np.minimum(1 - 1e-7, np.exp(top - lse[:, None]).sum(1)))
            targets = np.array([t for row in sequences[first : first + step] for t in row[1:] + row[:1]])
            (logits > np.take_along_axis(logits, targets[:, None], 1)).sum(1)
        return {"decode": decode}

    def laws():
        clear()
        return logits_of(0)[:length].copy()

    return {"version": llama_cpp.__version__}, measure, laws


serve(prepare)
