import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import type { OpenSequence } from "@tandem/student-trainer/teacher/interleave-stream.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";
import type { DraftAnswer } from "@tandem/student-trainer/teacher/teacher-sequence.js";

import type { LiveServer } from "./live-server.js";
import { mulberry32 } from "./mulberry32.js";

export interface CrowdOptions {
  readonly server: LiveServer;
  readonly idleSessions: number;
  readonly activeStreams: number;
  readonly seconds: number;
}

export interface CrowdReport {
  /** Answered drafts of the stream that got fewest, of the median one and of the one that got most. */
  readonly drafts: { readonly min: number; readonly median: number; readonly max: number };
  readonly draftsPerSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Idle sessions that answered again in the end. */
  readonly idleAnswered: number;
}

const IDLE_CLIENTS = 4;
const MAX_RESPONSE = 40;

/** Many sessions that say nothing, and streams that never stop asking, each a client with a connection of its own. */
export async function crowd(options: CrowdOptions): Promise<CrowdReport> {
  const { server, idleSessions, activeStreams, seconds } = options;
  const clients: TeacherClient[] = [];
  const connect = async (): Promise<TeacherClient> => {
    const addresses = [server.grpcAddress];
    const client = await TeacherClient.connect({
      ...TEACHER_DEFAULTS,
      addresses,
      random: mulberry32(clients.length),
    });
    clients.push(client);
    return client;
  };
  try {
    const idle = await openIdle(connect, idleSessions);
    const active = await Promise.all(Array.from({ length: activeStreams }, connect));
    const latencies: number[] = [];
    const end = performance.now() + seconds * 1000;
    const counts = await Promise.all(
      active.map((teacher, i) => askUntil(teacher, mulberry32(1000 + i), end, latencies)),
    );
    const again = await Promise.all(idle.map(({ sequence, next }) => draft(sequence, next)));
    counts.sort((a, b) => a - b);
    latencies.sort((a, b) => a - b);
    const at = (values: readonly number[], share: number) =>
      values[Math.min(values.length - 1, Math.floor(values.length * share))] as number;
    return {
      drafts: { min: at(counts, 0), median: at(counts, 0.5), max: at(counts, 1) },
      draftsPerSecond: latencies.length / seconds,
      latencyMs: { p50: at(latencies, 0.5), p99: at(latencies, 0.99), max: at(latencies, 1) },
      idleAnswered: again.filter(({ kind }) => kind === "verdict").length,
    };
  } finally {
    for (const client of clients) client.close();
  }
}

interface Place {
  readonly start: number;
  readonly replacementsSeen: number;
}

const draft = (
  sequence: OpenSequence,
  { start, replacementsSeen }: Place,
  random = mulberry32(1),
) =>
  sequence.draft({
    start,
    replacementsSeen,
    tokens: Uint32Array.from({ length: Math.min(4, MAX_RESPONSE - start) }, () =>
      Math.floor(random() * 97),
    ),
  });

/** Each has been drafted once, so that it holds keys and values. */
async function openIdle(connect: () => Promise<TeacherClient>, count: number) {
  const clients = await Promise.all(Array.from({ length: IDLE_CLIENTS }, connect));
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const sequence = open(clients[i % IDLE_CLIENTS] as TeacherClient, i);
      const answer = await draft(sequence, { start: 0, replacementsSeen: 0 });
      return { sequence, next: behind({ start: 0, replacementsSeen: 0 }, answer) };
    }),
  );
}

function open(teacher: TeacherClient, rngKey: number): OpenSequence {
  return teacher.openSequence({
    runSeed: 1,
    rngKey,
    prompt: Uint32Array.from({ length: 20 }, (_, t) => (rngKey * 31 + t * 7) % 97),
    maxResponse: MAX_RESPONSE,
    stopIds: [],
    rule: { kind: "rank", k: 40 },
    sampling: { temperature: 1, topK: 0, topP: 1 },
    signal: { ...NO_SIGNAL, topK: 4 },
  });
}

function behind({ start, replacementsSeen }: Place, answer: DraftAnswer): Place {
  if (answer.kind === "stale") throw new Error("a draft that followed its verdict came back stale");
  const replaced = answer.replacement === undefined ? 0 : 1;
  return {
    start: start + answer.accepted + replaced,
    replacementsSeen: replacementsSeen + replaced,
  };
}

/** Writes one sequence after the other, a draft at a time. @returns how many drafts were answered. */
async function askUntil(
  teacher: TeacherClient,
  random: () => number,
  end: number,
  latencies: number[],
): Promise<number> {
  let answered = 0;
  while (performance.now() < end) {
    const sequence = open(teacher, Math.floor(random() * 2 ** 32));
    let place: Place = { start: 0, replacementsSeen: 0 };
    while (performance.now() < end && place.start < MAX_RESPONSE) {
      const asked = performance.now();
      place = behind(place, await draft(sequence, place, random));
      latencies.push(performance.now() - asked);
      answered++;
    }
    sequence.close();
  }
  return answered;
}
