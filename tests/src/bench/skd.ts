/** Kept tokens per second of interleaved writing, end to end over gRPC, against the same loop written with transformers: one row at a time and
 * all rows batched, in the same run. Options: --teacher DIR (the demo's), --student DIR or --layers LIST (0,2,4: some of the teacher's layers),
 * --data FILE (JSON lines; the demo's problems) --prompt FIELD --chat, --rows N (8: written at once), --sequences N (32: written in all per repeat), --max-response N (48), --block N (6), --ahead N (1), --rank K (2),
 * --temperature T (1) --top-p P (1) of the student, --top-k K (8) of the signal, --repeats N (11), --warmup N (8: repeats that do not count, for both
 * sides' compilers), --threads N (of our teacher and of our student: half the cores each, since they share the machine), --peer-threads N (all),
 * --python FILE (TANDEM_PYTHON; without it, or empty, only our side is measured). */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { loadTokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { exportModel } from "@tandem/student-trainer/checkpoint/export-model.js";
import { initFromTeacher } from "@tandem/student-trainer/checkpoint/init-student.js";
import { dataSchema } from "@tandem/student-trainer/data/data-config.js";
import { loadDataset, type DataRow } from "@tandem/student-trainer/data/dataset.js";
import { interleaveRows } from "@tandem/student-trainer/rollout/interleave-rows.js";
import type { Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { StudentEngine } from "@tandem/student-trainer/rollout/student-engine.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";

import { startLiveServer } from "../helpers/live-server.js";
import { PeerProcess } from "./peer-process.js";
import { spread } from "./spread.js";

const root = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const TEACHER_SAMPLING = { temperature: 0.2, topK: 0, topP: 0.5 };

interface Setup {
  readonly teacherDir: string;
  readonly studentDir: string;
  readonly stopIds: readonly number[];
  /** One list of rows per repeat. */
  readonly prompts: readonly (readonly DataRow[])[];
  /** So many of them come first and do not count. */
  readonly warmup: number;
  /** Rows written at once. */
  readonly rows: number;
  readonly maxResponse: number;
  readonly blockLength: number;
  readonly draftAhead: number;
  readonly acceptRank: number;
  readonly topK: number;
  readonly studentSampling: {
    readonly temperature: number;
    readonly topK: number;
    readonly topP: number;
  };
  readonly threads: number;
  readonly peerThreads: number;
}

/** Writes a repeat's rows to their ends. */
type Writer = (rows: readonly DataRow[]) => Promise<Written>;

interface Written {
  readonly kept: number;
  readonly seconds: number;
  readonly judged: number;
  readonly accepted: number;
}

interface Side {
  readonly write: Writer;
  readonly close: () => Promise<void>;
}

export async function run(args: string[]): Promise<object> {
  const flags = parse(args);
  const dir = await mkdtemp(join(tmpdir(), "tandem-bench-"));
  const sides: Record<string, Side> = {};
  try {
    const setup = await prepare(flags, dir);
    sides.tandem = await openOurs(setup);
    if (flags.python !== undefined && flags.python !== "") {
      Object.assign(sides, await openPeer(setup, flags.python));
    }
    const written = await takeTurns(sides, setup);
    return {
      teacher: flags.teacher,
      student: flags.student ?? `layers ${flags.layers} of the teacher`,
      rows: setup.rows,
      sequences: Number(flags.sequences),
      blockLength: setup.blockLength,
      draftAhead: setup.draftAhead,
      acceptRank: setup.acceptRank,
      threads: setup.threads,
      peerThreads: setup.peerThreads,
      ...Object.fromEntries([...written].map(([name, turns]) => [name, summary(turns)])),
      ...(written.size > 1 && { ratio: spread(ratios(written)) }),
    };
  } finally {
    for (const side of Object.values(sides)) await side.close();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Every side writes the same rows, one after the other, so that a slow minute hits them all. */
async function takeTurns(
  sides: Readonly<Record<string, Side>>,
  { prompts, warmup }: Pick<Setup, "prompts" | "warmup">,
): Promise<ReadonlyMap<string, readonly Written[]>> {
  const written = new Map<string, Written[]>(Object.keys(sides).map((name) => [name, []]));
  for (const [repeat, rows] of prompts.entries()) {
    for (const [name, side] of Object.entries(sides)) {
      const result = await side.write(rows);
      if (repeat >= warmup) written.get(name)?.push(result);
    }
  }
  return written;
}

const rate = ({ kept, seconds }: Written): number => kept / seconds;

/** Ours over the faster of the others, repeat by repeat. */
function ratios(written: ReadonlyMap<string, readonly Written[]>): number[] {
  const { tandem = [], ...others } = Object.fromEntries(written);
  return tandem.map(
    (ours, i) => rate(ours) / Math.max(...Object.values(others).map((turns) => rate(turns[i]!))),
  );
}

function parse(args: string[]) {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      teacher: { type: "string", default: root("examples/demo/teacher") },
      student: { type: "string" },
      layers: { type: "string", default: "0,2,4" },
      data: { type: "string" },
      prompt: { type: "string", default: "prompt" },
      chat: { type: "boolean", default: false },
      rows: { type: "string", default: "8" },
      sequences: { type: "string", default: "32" },
      "max-response": { type: "string", default: "48" },
      block: { type: "string", default: "6" },
      ahead: { type: "string", default: "1" },
      rank: { type: "string", default: "2" },
      temperature: { type: "string", default: "1" },
      "top-p": { type: "string", default: "1" },
      "top-k": { type: "string", default: "8" },
      repeats: { type: "string", default: "11" },
      warmup: { type: "string", default: "8" },
      threads: { type: "string", default: String(Math.max(1, availableParallelism() >> 1)) },
      "peer-threads": { type: "string", default: String(availableParallelism()) },
      python: { type: "string", default: process.env.TANDEM_PYTHON },
    },
  });
  return values as Record<string, string> & {
    readonly student?: string;
    readonly data?: string;
    readonly python?: string;
    readonly chat: unknown;
  };
}

type Flags = ReturnType<typeof parse>;

async function prepare(flags: Flags, dir: string): Promise<Setup> {
  const teacherDir = flags.teacher ?? "";
  let studentDir = flags.student;
  if (studentDir === undefined) {
    studentDir = join(dir, "student");
    const layers = (flags.layers ?? "").split(",").map(Number);
    const model = await initFromTeacher(teacherDir, layers);
    await exportModel({ model, outDir: studentDir, tokenizerDir: teacherDir });
  }
  const config = await readModelConfig(teacherDir);
  const maxResponse = Number(flags["max-response"]);
  const file = flags.data ?? (await writeProblems(dir));
  const { rows } = await loadDataset({
    files: file,
    config: dataSchema.parse({
      train: file,
      prompt: flags.prompt,
      chat: flags.chat === true,
      answer: "-",
    }),
    codec: await loadTokenizer(teacherDir),
    eosId: undefined,
    maxResponse,
    maxPrompt: Math.min(256, config.contextLength - maxResponse),
  });
  const count = Number(flags.sequences);
  return {
    teacherDir,
    studentDir,
    stopIds: config.eosTokenIds,
    prompts: Array.from({ length: Number(flags.warmup) + Number(flags.repeats) }, (_, i) =>
      rows.slice(i * count, (i + 1) * count),
    ),
    warmup: Number(flags.warmup),
    rows: Number(flags.rows),
    maxResponse,
    blockLength: Number(flags.block),
    draftAhead: Number(flags.ahead),
    acceptRank: Number(flags.rank),
    topK: Number(flags["top-k"]),
    studentSampling: {
      temperature: Number(flags.temperature),
      topK: 0,
      topP: Number(flags["top-p"]),
    },
    threads: Number(flags.threads),
    peerThreads: Number(flags["peer-threads"]),
  };
}

/** Problems of the demo's kind. */
async function writeProblems(dir: string): Promise<string> {
  const file = join(dir, "problems.jsonl");
  const lines = Array.from({ length: 2000 }, (_, i) => ({
    prompt: `${1000 + ((i * 7919) % 9000)}*${2 + (i % 8)}=`,
  }));
  await writeFile(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return file;
}

async function openOurs(setup: Setup): Promise<Side> {
  const { threads, maxResponse, blockLength, draftAhead, stopIds, acceptRank, topK } = setup;
  const server = await startLiveServer({
    model: setup.teacherDir,
    args: ["--threads", String(threads)],
  });
  const teacher = await TeacherClient.connect({
    ...TEACHER_DEFAULTS,
    addresses: [server.grpcAddress],
    random: () => 0,
  });
  const vocabulary = teacher.description.vocabSize;
  const runner = await ModelRunner.load({
    dir: setup.studentDir,
    threads,
    vocabulary,
    drafts: true,
  });
  const engine = new StudentEngine(runner);
  const write: Writer = async (rows) => {
    const began = performance.now();
    const { rollouts } = await interleaveRows({
      engine,
      teacher,
      orders: rows.map(({ index, prompt }) => ({ row: index, sample: 0, epoch: 0, prompt })),
      settings: {
        runSeed: 1,
        blockLength,
        draftAhead,
        maxResponse,
        stopIds: new Set(stopIds),
        sampling: setup.studentSampling,
        studentTopK: 0,
      },
      request: {
        stopIds,
        rule: { kind: "rank", k: acceptRank },
        sampling: TEACHER_SAMPLING,
        signal: { ...NO_SIGNAL, topK },
      },
      concurrency: setup.rows,
    });
    const seconds = (performance.now() - began) / 1000;
    const sum = (pick: (rollout: Rollout) => number) =>
      rollouts.reduce((total, rollout) => total + pick(rollout), 0);
    return {
      kept: sum(({ response }) => response.length),
      seconds,
      judged: sum(({ stats }) => stats.judged),
      accepted: sum(({ stats }) => stats.accepted),
    };
  };
  const close = async (): Promise<void> => {
    teacher.close();
    await runner.close();
    await server.stop();
  };
  return { write, close };
}

/** The transformers loops, both in one process. */
async function openPeer(
  { teacherDir, studentDir, prompts: _prompts, peerThreads, ...rest }: Setup,
  python: string,
): Promise<Record<"transformersBatched" | "transformersOneRow", Side>> {
  const peer = new PeerProcess(python, "bench_skd.py");
  await peer.ask({
    ...rest,
    threads: peerThreads,
    teacher: teacherDir,
    student: studentDir,
    teacherSampling: TEACHER_SAMPLING,
  });
  const side = (mode: "one" | "batched", close: Side["close"]): Side => ({
    write: async (rows) =>
      (await peer.ask({ mode, prompts: rows.map(({ prompt }) => [...prompt]) })) as Written,
    close,
  });
  return {
    transformersBatched: side("batched", () => peer.close()),
    transformersOneRow: side("one", () => Promise.resolve()),
  };
}

function summary(results: readonly Written[]) {
  const total = (pick: (result: Written) => number) =>
    results.reduce((sum, result) => sum + pick(result), 0);
  return {
    keptTokensPerSecond: spread(results.map(rate)),
    acceptance: total(({ accepted }) => accepted) / total(({ judged }) => judged),
  };
}
