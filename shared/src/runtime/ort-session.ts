/** The only file that imports onnxruntime-node. */
import "./without-telemetry.js";
import { realpath } from "node:fs/promises";
import * as ort from "onnxruntime-node";
import { TandemError } from "../errors/tandem-error.js";
import { elementCount } from "../numeric/shape.js";
import type { HostTensor } from "./host-tensor.js";
import type { Fetches, Session, SessionOptions } from "./session.js";

const ORT_TYPE = {
  f32: "float32",
  f64: "float64",
  i64: "int64",
  i32: "int32",
  u8: "uint8",
  bool: "bool",
  f16: "float16",
} as const;

const HOST_DTYPE = new Map<string, HostTensor["dtype"]>(
  Object.entries(ORT_TYPE).map(([dtype, name]) => [name, dtype as HostTensor["dtype"]]),
);

/** A second core is woken some hundred times in a run, which takes tens of microseconds each time; the operations between are shorter than this. */
const SPIN_US = "100";

/** Version of the native runtime, which decides what its kernels round to. */
export function runtimeVersion(): string {
  return ort.env.versions.node ?? ort.env.versions.common;
}

/** Loads a serialised model on the CPU.
 * @throws NOT_FOUND when the external data directory is missing, INVALID_ARGUMENT when the model is refused. */
export async function createOrtSession(
  model: Uint8Array,
  options: SessionOptions,
): Promise<Session> {
  const sessionConfig: Record<string, string> = {};
  if (options.externalDataDir !== undefined) {
    sessionConfig.model_external_initializers_file_folder_path = await resolveDirectory(
      options.externalDataDir,
    );
  }
  try {
    const session = await ort.InferenceSession.create(model, {
      executionProviders: ["cpu"],
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      graphOptimizationLevel: options.optimization ?? "all",
      enableCpuMemArena: options.arena ?? true,
      enableMemPattern: options.memoryPattern ?? false,
      ...(options.profilePrefix === undefined
        ? {}
        : { enableProfiling: true, profileFilePrefix: options.profilePrefix }),
      ...(options.externalData === undefined
        ? {}
        : { externalData: [...options.externalData].map(([path, data]) => ({ path, data })) }),
      logSeverityLevel: 3,
      extra: {
        // The lowering has chosen where a product transposes; folding our transposes back into it cost a tenth of a training step.
        optimization: { disable_specified_optimizers: "MatmulTransposeFusion" },
        session: {
          ...sessionConfig,
          // Masked attention scores become denormal probabilities, on which a processor is a hundred times slower: attention took twice its time.
          // The first session of a process decides for the calling thread, so all of them say the same.
          set_denormal_as_zero: "1",
          intra_op: {
            allow_spinning: options.spin === true ? "1" : "0",
            spin_duration_us: SPIN_US,
          },
          force_spinning_stop: "1",
        },
      },
    });
    return new OrtSession(session);
  } catch (cause) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `onnxruntime refuses the model: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}

async function resolveDirectory(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    throw new TandemError("NOT_FOUND", `the directory of the weights does not exist: ${path}`, {
      cause,
    });
  }
}

class OrtSession implements Session {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #session: ort.InferenceSession;
  #closed = false;

  constructor(session: ort.InferenceSession) {
    this.#session = session;
    this.inputNames = session.inputNames;
    this.outputNames = session.outputNames;
  }

  async run(
    feeds: Readonly<Record<string, HostTensor>>,
    fetches: Fetches | readonly string[],
  ): Promise<Readonly<Record<string, HostTensor>>> {
    if (this.#closed) throw new TandemError("FAILED_PRECONDITION", "the session is closed");
    const ortFeeds = mapValues(feeds, toOrt);
    const ortFetches = isNameList(fetches)
      ? fetches
      : mapValues(fetches, (target) => (target === null ? null : toOrt(target)));
    try {
      return mapValues(await this.#session.run(ortFeeds, ortFetches), fromOrt);
    } catch (cause) {
      throw new TandemError("INTERNAL", `onnxruntime failed: ${messageOf(cause)}`, { cause });
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#session.release();
  }
}

function isNameList(fetches: Fetches | readonly string[]): fetches is readonly string[] {
  return Array.isArray(fetches);
}

function mapValues<A, B>(
  record: Readonly<Record<string, A>>,
  f: (value: A) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value)]));
}

function toOrt({ dtype, shape, data }: HostTensor): ort.Tensor {
  if (data.length !== elementCount(shape)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `a tensor of shape [${shape.join(",")}] needs ${elementCount(shape)} values, got ${data.length}`,
    );
  }
  return new ort.Tensor(ORT_TYPE[dtype], data, shape);
}

function fromOrt(tensor: ort.Tensor): HostTensor {
  const dtype = HOST_DTYPE.get(tensor.type);
  if (dtype === undefined) {
    throw new TandemError("UNIMPLEMENTED", `a result of onnxruntime's type ${tensor.type}`);
  }
  return { dtype, shape: tensor.dims, data: tensor.data } as HostTensor;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
