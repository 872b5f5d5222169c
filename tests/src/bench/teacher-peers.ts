/** Other programs that can say what a model thinks of tokens, run by Pythons outside the repository: TANDEM_PYTHON (transformers; writes the GGUF files
 * too), TANDEM_VLLM_PYTHON, TANDEM_LLAMACPP_PYTHON. Those whose Python is not given are left out. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { invariant } from "@tandem/shared/errors/invariant.js";
import { DivergenceMeter } from "@tandem/teacher-server/engine/process/divergence.js";
import { PeerProcess, peerScript } from "./peer-process.js";
import { spread } from "./spread.js";

export interface PeerSetup {
  readonly dir: string;
  readonly sequences: readonly (readonly number[])[];
  readonly topK: number;
  readonly threads: number;
  readonly rowsPerRun: number;
}

interface PeerKind {
  readonly name: string;
  readonly python: string;
  readonly script: string;
  readonly setup: Readonly<Record<string, string>>;
  /** It can give all logits, so its divergence can be told. */
  readonly laws: boolean;
}

const TRANSFORMERS = "TANDEM_PYTHON";
const transformers = (precision: string, mode: string): PeerKind => ({
  name: `transformers-${precision}-${mode}`,
  python: TRANSFORMERS,
  script: "bench_teacher.py",
  setup: { precision, mode },
  laws: true,
});
const vllm = (precision: string): PeerKind => ({
  name: `vllm-${precision}`,
  python: "TANDEM_VLLM_PYTHON",
  script: "bench_teacher_vllm.py",
  setup: { precision },
  laws: false,
});
const llamaCpp = (form: string): PeerKind => ({
  name: `llamacpp-${form}`,
  python: "TANDEM_LLAMACPP_PYTHON",
  script: "bench_teacher_llamacpp.py",
  setup: { form },
  laws: true,
});

/** The first is the reference of divergences. */
const PEERS: readonly PeerKind[] = [
  transformers("float32", "sdpa"),
  transformers("float32", "eager"),
  transformers("float32", "compiled"),
  transformers("bfloat16", "sdpa"),
  transformers("bfloat16", "compiled"),
  vllm("float32"),
  vllm("bfloat16"),
  llamaCpp("f32"),
  llamaCpp("f16"),
  llamaCpp("q8_0"),
];

interface Measured {
  readonly seconds: number;
  /** llama.cpp: without what numpy adds. */
  readonly decode?: number;
}

interface Opened {
  readonly kind: PeerKind;
  readonly version: string;
  readonly process: PeerProcess;
  readonly times: Measured[];
  readonly divergence: object | undefined;
}

export class TeacherPeers {
  readonly #wanted: readonly PeerKind[];
  readonly #folder = mkdtempSync(join(tmpdir(), "tandem-peers-"));
  readonly #opened: Opened[] = [];

  /** names: separated by commas; a beginning stands for all that begin so. */
  constructor(names: string | undefined) {
    const chosen = names?.split(",");
    this.#wanted = PEERS.filter(
      ({ name, python }) =>
        (process.env[python] ?? "") !== "" &&
        (chosen === undefined || chosen.some((begin) => begin !== "" && name.startsWith(begin))),
    );
  }

  async open(setup: PeerSetup): Promise<void> {
    let reference: Float32Array | undefined;
    for (const kind of this.#wanted) {
      const peer = await this.#open(kind, setup);
      const laws = kind.laws ? await this.#laws(peer.process) : undefined;
      reference ??= laws;
      const divergence =
        laws !== undefined && reference !== undefined && laws !== reference
          ? divergenceOf(reference, laws, setup.sequences[0]!.length)
          : undefined;
      this.#opened.push({ ...peer, kind, times: [], divergence });
    }
  }

  /** One turn of each; `keep` false for the first, which warms up. */
  async measure(keep: boolean): Promise<void> {
    for (const { process, times } of this.#opened) {
      const measured = (await process.ask({ kind: "measure" })) as Measured;
      if (keep) times.push(measured);
    }
  }

  /** servedMs: our times of the same rounds. */
  summary(positions: number, servedMs: readonly number[]): object {
    const peers = this.#opened.map(({ kind, version, times, divergence }) => {
      const rates = times.map(({ seconds }) => positions / seconds);
      const decoding = times.flatMap(({ decode }) => (decode === undefined ? [] : [decode]));
      return {
        name: kind.name,
        version,
        positionsPerSecond: spread(rates).median,
        min: Math.min(...rates),
        max: Math.max(...rates),
        ...(decoding.length > 0 && {
          decodedPerSecond: spread(decoding.map((seconds) => positions / seconds)).median,
        }),
        /** Ours over theirs, round by round. */
        ratio: spread(times.map(({ seconds }, i) => (1000 * seconds) / servedMs[i]!)).median,
        ...(divergence && { divergence }),
      };
    });
    return {
      measured: peers,
      ...(peers.length > 0 && { ratioToBestPeer: Math.min(...peers.map(({ ratio }) => ratio)) }),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map(({ process }) => process.close()));
    rmSync(this.#folder, { recursive: true });
  }

  async #open(kind: PeerKind, setup: PeerSetup): Promise<Pick<Opened, "process" | "version">> {
    const peer = new PeerProcess(process.env[kind.python]!, kind.script);
    const form = kind.setup["form"];
    const gguf = form === undefined ? {} : { gguf: await this.#gguf(setup.dir, form) };
    const { version } = (await peer.ask({ kind: "setup", ...setup, ...kind.setup, ...gguf })) as {
      version: string;
    };
    return { process: peer, version };
  }

  async #gguf(dir: string, form: string): Promise<string> {
    const python = process.env[TRANSFORMERS];
    invariant(python, `${TRANSFORMERS} is needed to write GGUF files`);
    const file = join(this.#folder, `${form}.gguf`);
    await promisify(execFile)(python, [peerScript("make_gguf.py"), dir, file, form]);
    return file;
  }

  /** f32 [length,V] of the first sequence. */
  async #laws(peer: PeerProcess): Promise<Float32Array> {
    const path = join(this.#folder, "laws");
    await peer.ask({ kind: "laws", path });
    const bytes = readFileSync(path);
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  }
}

function divergenceOf(reference: Float32Array, laws: Float32Array, length: number): object {
  const meter = new DivergenceMeter(reference.length / length);
  meter.compare(reference, laws);
  return meter.result();
}
