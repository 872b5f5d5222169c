import { open, readFile, truncate, type FileHandle } from "node:fs/promises";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** One optimizer step. */
export interface StepRecord extends StepTiming {
  readonly kind: "step";
  /** From 1. */
  readonly step: number;
  /** Index of the batch of rollouts, and which pass over it, from 0. */
  readonly round: number;
  readonly iteration: number;
  /** Highest data epoch among the sequences of the minibatch. */
  readonly epoch: number;
  /** Weighted sum of the losses, nats. */
  readonly loss: number;
  /** Each loss without its weight. */
  readonly losses: Readonly<Record<string, number>>;
  /** What losses found on the way, `LOSS.NAME`: temperatures, what was kept; means over the positions. Absent where no loss has any. */
  readonly measures?: Readonly<Record<string, number>>;
  /** Before clipping. */
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Positions that carried loss. */
  readonly tokens: number;
  /** Fraction of the batch's judged draft tokens that the teacher accepted; absent when none was judged. */
  readonly acceptance?: number;
  /** The same by response position, in buckets that double: 0, 1, 2–3, 4–7 … */
  readonly acceptanceAt?: readonly number[];
  /** Fraction of the minibatch's tokens that the teacher wrote. */
  readonly teacherShare: number;
  /** The same by response position, in those buckets; only where drafts were judged. */
  readonly teacherShareAt?: readonly number[];
}

/** What a clock says, and therefore differs from run to run. */
export interface StepTiming {
  readonly tokensPerSecond: number;
  /** Time in which nothing could be drafted for want of verdicts, in the first step of a batch. */
  readonly teacherWaitMs: number;
  /** Duration of the step, and in the first step of a batch that of writing it. */
  readonly seconds: number;
  readonly rolloutSeconds: number;
}

/** What the evaluation callback returned. */
export interface EvaluationRecord {
  readonly kind: "evaluation";
  readonly step: number;
  readonly [measure: string]: string | number;
}

export type RunRecord = StepRecord | EvaluationRecord;

/** `metrics.jsonl`: one JSON object a line, only ever appended to, except that a resumed run first cuts off what came behind its checkpoint. */
export class RunLog {
  readonly #handle: FileHandle;
  #sizeBytes: number;

  private constructor(handle: FileHandle, sizeBytes: number) {
    this.#handle = handle;
    this.#sizeBytes = sizeBytes;
  }

  /** Opens the log, cut to `keepBytes`. @throws DATA_LOSS when it is shorter than that. */
  static async open(path: string, keepBytes: number): Promise<RunLog> {
    const handle = await open(path, "a");
    const { size } = await handle.stat();
    if (size < keepBytes) {
      await handle.close();
      throw new TandemError(
        "DATA_LOSS",
        `${path} has ${size} bytes, the checkpoint was taken at ${keepBytes}; restore the file or start a new run`,
      );
    }
    if (size > keepBytes) await truncate(path, keepBytes);
    return new RunLog(handle, keepBytes);
  }

  /** Bytes written: where a checkpoint taken now would cut. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async append(record: RunRecord): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    await this.#handle.appendFile(line);
    this.#sizeBytes += line.length;
  }

  /** Makes everything appended survive a power failure. */
  async sync(): Promise<void> {
    await this.#handle.datasync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** All records of a log. @throws DATA_LOSS naming file and line that is not a record. */
export async function readRunLog(path: string): Promise<readonly RunRecord[]> {
  const lines = (await readFile(path, "utf8")).split("\n").filter((line) => line !== "");
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as RunRecord;
    } catch (cause) {
      throw new TandemError("DATA_LOSS", `${path}:${index + 1} is not a JSON object`, { cause });
    }
  });
}
