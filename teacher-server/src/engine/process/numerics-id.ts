import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { arch, cpus } from "node:os";

/** Instruction sets for which the CPU kernels have code of their own, hence another order of additions. */
const KERNEL_FLAGS = /^(avx2|fma|f16c|avx_vnni|avx512\w*|amx_\w+|asimd\w*|sve\w*|i8mm|bf16)$/;

/** Raised whenever the graphs of inference come to round differently, so that nothing kept by an older server is taken for ours. */
const GRAPHS = 2;

export interface NumericsFacts {
  readonly runtime: string;
  readonly provider: string;
  /** `f32`, or a quantisation and its version. */
  readonly precision: string;
}

/** Names build, provider, instruction set and precision; equal ids (and weights) promise equal bits for equal requests.
 * `onnxruntime-1.30.0+2/cpu/x64/f32#9c3f…`: the number behind the runtime stands for our graphs, the hash stands for the instruction sets. */
export function numericsId({ runtime, provider, precision }: NumericsFacts): string {
  const instructions = createHash("sha256").update(instructionSets()).digest("hex").slice(0, 12);
  return `onnxruntime-${runtime}+${GRAPHS}/${provider}/${arch()}/${precision}#${instructions}`;
}

/** What the processor can do, as Linux lists it; elsewhere its model, which is stricter than need be. */
function instructionSets(): string {
  const model = cpus()[0]?.model ?? "unknown";
  try {
    const line = readFileSync("/proc/cpuinfo", "utf8").match(/^(?:flags|Features)\s*:(.*)$/m)?.[1];
    if (line === undefined) return model;
    const flags = line.split(/\s+/).filter((flag) => KERNEL_FLAGS.test(flag));
    return [...new Set(flags)].sort().join(" ");
  } catch {
    // No such file: not Linux.
    return model;
  }
}
