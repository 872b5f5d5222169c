"""The peer's side of a bench that takes turns: one JSON object a line on stdin, one on stdout."""
import json
import sys
import time


def serve(prepare):
    """prepare(setup) returns (info, measure, laws): measure() does the whole job once and may return a dict of further seconds by name;
    laws() gives the raw logits behind every token of the first sequence, float32 [length, V]."""
    out, sys.stdout = sys.stdout, sys.stderr  # libraries print
    def reply(message):
        print(json.dumps(message), file=out, flush=True)
    measure = laws = None
    for line in sys.stdin:
        message = json.loads(line)
        if message["kind"] == "setup":
            info, measure, laws = prepare(message)
            reply(info)
        elif message["kind"] == "measure":
            begin = time.perf_counter()
            parts = measure() or {}
            reply({"seconds": time.perf_counter() - begin, **parts})
        else:
            laws().astype("<f4").tofile(message["path"])
            reply({})
