import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** What one run of one method gave. */
export interface MethodRun {
  readonly method: string;
  readonly seed: number;
  /** Of the configuration that was run: another one's results do not count. */
  readonly digest: string;
  /** Of held-out problems, every character right. */
  readonly accuracy: number;
  readonly problems: number;
  /** On the student's own greedy text: KL(teacher ‖ student) in nats, and the share of its tokens that are the teacher's best. */
  readonly teacherKl: number;
  readonly teacherAgreement: number;
  /** Sum of the losses without their weights, mean of the first and of the last tenth of the steps. */
  readonly lossFirst: number;
  readonly lossLast: number;
  /** Of drafts, first and last batch; only where there are drafts. */
  readonly acceptanceFirst?: number;
  readonly acceptanceLast?: number;
  /** Share of the tokens that the teacher wrote, over the run. */
  readonly teacherShare: number;
  readonly steps: number;
  /** Response tokens of all batches, and those that went through a training step: each as often as it was used. */
  readonly tokens: number;
  readonly trainedTokens: number;
  /** Bytes of signal that the teacher sent, and per response token; a run without them is repeated. */
  readonly signalBytes?: number;
  readonly bytesPerPosition?: number;
  /** The clock's, on whatever else the machine was doing. */
  readonly seconds: number;
  /** What is wrong with it; absent when nothing is. */
  readonly fault?: string;
}

/** The runs of a file; none when it does not exist. */
export async function readRuns(file: string): Promise<readonly MethodRun[]> {
  try {
    return (JSON.parse(await readFile(file, "utf8")) as { readonly runs: MethodRun[] }).runs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Replaced whole, so that a run that is killed loses nothing. */
export async function writeRuns(file: string, runs: readonly MethodRun[]): Promise<void> {
  await replaceFile(file, `${JSON.stringify({ runs }, undefined, 2)}\n`);
}

export async function replaceFile(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.tmp`, text);
  await rename(`${file}.tmp`, file);
}

export interface Interval {
  readonly mean: number;
  /** Half the width of the 95 % interval of Student's t; absent for one value. */
  readonly half?: number;
}

/** 97.5 % quantiles of Student's t with 1, 2, … degrees of freedom. */
const T_QUANTILES = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

export function intervalOf(values: readonly number[]): Interval {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const quantile = T_QUANTILES[n - 2];
  if (quantile === undefined) return { mean };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return { mean, half: quantile * Math.sqrt(variance / n) };
}
