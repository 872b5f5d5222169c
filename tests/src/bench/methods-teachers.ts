import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { startLiveServer, type LiveServer } from "../helpers/live-server.js";
import type { MethodConfig } from "./methods-plan.js";
import { trainer } from "./trainer.js";

export const TEACHER = "examples/demo/teacher";
/** Where examples/methods/base.yaml looks for data and student. */
export const WORK = "runs/methods";

/** The second teacher, as examples/methods/README.md makes it: four of the demo's six layers, which learnt from it. */
const SMALL = {
  layers: "0,1,2,4",
  initial: join(WORK, "small/initial"),
  run: join(WORK, "small/run"),
  model: join(WORK, "small/run/checkpoints/step-000120"),
};

/** Makes the second teacher, once. */
export async function prepareSmallTeacher(): Promise<void> {
  if (existsSync(SMALL.model)) return;
  const { layers, initial, run } = SMALL;
  await rm(join(WORK, "small"), { recursive: true, force: true });
  await trainer("init", "--from", TEACHER, "--layers", layers, "--out", initial);
  const large = await startLiveServer({ model: TEACHER });
  try {
    const assignments = [
      `teacher.address=${large.grpcAddress}`,
      `student.model=${initial}`,
      "training.threads=1",
      "evaluation.rows=1",
      `output.dir=${run}`,
    ];
    const flags = assignments.flatMap((value) => ["--set", value]);
    await trainer("train", "--config", "examples/methods/supervised-kd.yaml", ...flags);
  } finally {
    await large.stop();
  }
}

/** The servers of the bench: the demo's teacher, and the smaller one from the first method on that names it. */
export class MethodTeachers {
  readonly large: LiveServer;
  #small: LiveServer | undefined;

  private constructor(large: LiveServer) {
    this.large = large;
  }

  static async start(): Promise<MethodTeachers> {
    return new MethodTeachers(await startLiveServer({ model: TEACHER }));
  }

  /** `prepareSmallTeacher` has been called where the method names it. */
  async startFor({ teachers }: MethodConfig): Promise<void> {
    if (!teachers.includes("small")) return;
    this.#small ??= await startLiveServer({ model: SMALL.model });
  }

  /** Where a method finds its teachers, as assignments. */
  addresses({ teachers }: MethodConfig): readonly string[] {
    if (teachers.length === 0) return [`teacher.address=${this.large.grpcAddress}`];
    return teachers.map((name) => {
      const server = name === "small" ? this.#small : this.large;
      return `teachers.${name}.address=${server?.grpcAddress}`;
    });
  }

  /** What the servers say they have sent of signals so far. */
  async payloadBytes(): Promise<number> {
    let sum = 0;
    for (const { httpAddress } of this.#all) {
      const text = await (await fetch(`http://${httpAddress}/metrics`)).text();
      const lines = text.matchAll(/^teacher_payload_bytes_total\{[^}]*\} (\S+)$/gm);
      for (const [, value] of lines) sum += Number(value);
    }
    return sum;
  }

  async stop(): Promise<void> {
    for (const server of this.#all) await server.stop();
  }

  get #all(): readonly LiveServer[] {
    return [this.large, ...(this.#small === undefined ? [] : [this.#small])];
  }
}
