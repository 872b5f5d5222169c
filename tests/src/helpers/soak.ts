import { setTimeout as delay } from "node:timers/promises";

import { NO_SIGNAL, type SignalSpec } from "@tandem/shared/wire/teacher-signal.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";

import type { LiveServer } from "./live-server.js";
import { mulberry32 } from "./mulberry32.js";
import { processFigures, type ProcessFigures } from "./process-figures.js";
import { readMetrics } from "./read-metrics.js";

/** What is kept on purpose is full after seconds, so that whatever grows afterwards is a leak. */
export const SOAK_ARGS = [
  "--store-memory-bytes",
  "2000000",
  "--prefix-cache-memory-bytes",
  "2000000",
] as const;

export interface SoakOptions {
  /** Started with SOAK_ARGS; serves a model with at least 97 ids and a context of 128. */
  readonly server: LiveServer;
  readonly seconds: number;
  readonly clients: number;
  readonly sampleEverySeconds: number;
}

/** What server and engine held at one moment. */
export interface SoakSample {
  readonly second: number;
  readonly server: ProcessFigures | undefined;
  readonly engine: ProcessFigures | undefined;
}

export interface SoakReport {
  readonly calls: Readonly<Record<string, number>>;
  readonly samples: readonly SoakSample[];
  /** Of the server when all clients have gone. */
  readonly left: {
    readonly openSequences: number;
    readonly openStreams: number;
    readonly waitingItems: number;
    readonly descriptors: number;
    readonly threads: number;
  };
  /** Of the server before the first client came. */
  readonly before: ProcessFigures | undefined;
  /** Peak RSS of the second half over that of the second quarter (the first quarter fills caches and pools). */
  readonly growth: { readonly server: number; readonly engine: number };
}

type Random = () => number;

const SPEC: SignalSpec = { ...NO_SIGNAL, topK: 8, token: true, moments: true };
const SAMPLING = { temperature: 1, topK: 0, topP: 1 };

const ids = (random: Random, length: number) =>
  Uint32Array.from({ length }, () => Math.floor(random() * 97));

/** Everything a student may do, well behaved and not. */
const CALLS: Readonly<Record<string, (teacher: TeacherClient, random: Random) => Promise<void>>> = {
  score: async (teacher, random) => {
    const questions = Array.from({ length: 8 }, () => ids(random, 10 + Math.floor(random() * 90)));
    await Promise.all(questions.map((tokens) => teacher.score({ tokens, from: 1, signal: SPEC })));
  },
  interleave: async (teacher, random) => {
    const rows = Array.from({ length: 6 }, () => writeSequence(teacher, random, Infinity));
    await Promise.all(rows);
  },
  /** Sequences that are given up in the middle of a draft. */
  abandon: async (teacher, random) => {
    await Promise.all(Array.from({ length: 4 }, () => writeSequence(teacher, random, 2)));
  },
  generate: async (teacher, random) => {
    const items = Array.from({ length: 4 }, (_, i) => ({ rngKey: i, prompt: ids(random, 12) }));
    const order = { sampling: SAMPLING, maxResponse: 16, stopIds: [], runSeed: 1, signal: SPEC };
    await teacher.generate({ ...order, items });
  },
  /** A client that vanishes with questions unanswered. */
  vanish: async (teacher, random) => {
    const questions = Array.from({ length: 16 }, () => ids(random, 100));
    const asked = questions.map((tokens) => teacher.score({ tokens, from: 1, signal: SPEC }));
    const settled = Promise.allSettled(asked);
    await delay(random() * 20);
    teacher.close();
    await settled;
  },
};

/** Clients that come, ask for everything in turn, and go, while processes are watched. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { server, seconds, clients, sampleEverySeconds } = options;
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const before = processFigures(server.process.pid ?? 0);
  const calls: Record<string, number> = {};
  const isOver = () => elapsed() > seconds;
  const work = Array.from({ length: clients }, (_, i) =>
    live(server, mulberry32(i), calls, isOver),
  );
  const samples: SoakSample[] = [];
  const watching = (async () => {
    while (!isOver()) {
      await delay(sampleEverySeconds * 1000);
      samples.push({
        second: Math.round(elapsed()),
        server: processFigures(server.process.pid ?? 0),
        engine: processFigures(server.enginePid()),
      });
    }
  })();
  await Promise.all([...work, watching]);
  // The last streams' ends travel.
  await delay(500);
  // Before the question for metrics opens a connection.
  const figures = processFigures(server.process.pid ?? 0);
  const metrics = await readMetrics(server.httpAddress);
  return {
    calls,
    samples,
    before,
    left: {
      openSequences: metrics.get("teacher_open_sequences") ?? NaN,
      openStreams: metrics.get("teacher_open_streams") ?? NaN,
      waitingItems: metrics.get("teacher_waiting_items") ?? NaN,
      descriptors: figures?.descriptors ?? NaN,
      threads: figures?.threads ?? NaN,
    },
    growth: {
      server: growthOf(samples.map((sample) => sample.server?.rssMiB ?? NaN)),
      engine: growthOf(samples.map((sample) => sample.engine?.rssMiB ?? NaN)),
    },
  };
}

/** One place in the crowd: a client that works for a while, and another after it. */
async function live(
  server: LiveServer,
  random: Random,
  calls: Record<string, number>,
  isOver: () => boolean,
): Promise<void> {
  const names = Object.keys(CALLS);
  while (!isOver()) {
    const teacher = await TeacherClient.connect({
      ...TEACHER_DEFAULTS,
      addresses: [server.grpcAddress],
      random,
    });
    let name = "";
    while (!isOver() && name !== "vanish") {
      name = names[Math.floor(random() * names.length)] as string;
      await CALLS[name]?.(teacher, random);
      calls[name] = (calls[name] ?? 0) + 1;
    }
    teacher.close();
  }
}

/** Drafts at random, at most so many blocks; then the sequence is closed, whatever stands open. */
async function writeSequence(
  teacher: TeacherClient,
  random: Random,
  blocks: number,
): Promise<void> {
  const sequence = teacher.openSequence({
    runSeed: 1,
    rngKey: Math.floor(random() * 2 ** 32),
    prompt: ids(random, 10 + Math.floor(random() * 30)),
    maxResponse: 24,
    stopIds: [],
    rule: { kind: "rank", k: 30 },
    sampling: SAMPLING,
    signal: SPEC,
  });
  try {
    let start = 0;
    let replacementsSeen = 0;
    for (let block = 0; block < blocks; block++) {
      const tokens = ids(random, Math.min(4, 24 - start));
      const answer = await sequence.draft({ start, replacementsSeen, tokens });
      if (answer.kind === "stale" || answer.finish !== "none") return;
      start += answer.accepted + (answer.replacement === undefined ? 0 : 1);
      replacementsSeen += answer.replacement === undefined ? 0 : 1;
    }
    sequence.draft({ start, replacementsSeen, tokens: ids(random, 4) }).catch(() => undefined);
  } finally {
    sequence.close();
  }
}

function growthOf(values: readonly number[]): number {
  const quarter = values.length / 4;
  const early = values.slice(Math.floor(quarter), Math.ceil(2 * quarter));
  const late = values.slice(Math.floor(2 * quarter));
  return Math.max(...late) / Math.max(...early);
}
