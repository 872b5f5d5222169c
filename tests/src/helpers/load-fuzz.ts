import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { credentials } from "@grpc/grpc-js";
import { loadTeacherProto } from "@tandem/proto/load-teacher-proto.js";
import type { ItemError__Output } from "@tandem/proto/gen/tandem/v1/ItemError.js";
import type { SignalSpec } from "@tandem/proto/gen/tandem/v1/SignalSpec.js";
import type { TeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import type { LiveServer } from "./live-server.js";
import { mulberry32 } from "./mulberry32.js";
import { u32 } from "./teacher-stream.js";

export interface LoadFuzzOptions {
  readonly server: LiveServer;
  readonly seed: number;
  readonly clients: number;
  /** Items each client sends. */
  readonly items: number;
  readonly vocabSize: number;
  readonly contextLength: number;
}

export interface LoadFuzzOutcome {
  readonly sent: number;
  readonly results: number;
  /** Refused items by code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Items without any answer, of clients that read. */
  readonly lost: number;
  /** Largest memory of both processes, added up. */
  readonly peakBytes: number;
}

interface Ledger {
  sent: number;
  results: number;
  readonly errors: Record<string, number>;
}

/** Sends all kinds of work at once, in sizes up to the server's limits and beyond: some clients read nothing, some vanish in the middle.
 * The others count their answers. */
export async function fuzzLoad(options: LoadFuzzOptions): Promise<LoadFuzzOutcome> {
  const ledger: Ledger = { sent: 0, results: 0, errors: {} };
  const clients = Array.from({ length: options.clients }, (_, i) =>
    runClient({ ...options, seed: options.seed + i }, ledger, i),
  );
  const lost = (await Promise.all(clients)).reduce((sum, each) => sum + each, 0);
  const { pid } = options.server.process;
  const peakBytes = peakOf(pid as number) + peakOf(options.server.enginePid());
  return { ...ledger, lost, peakBytes };
}

/** The largest resident set a process has had. */
export function peakOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
}

async function runClient(options: LoadFuzzOptions, ledger: Ledger, i: number): Promise<number> {
  const random = mulberry32(options.seed);
  const Teacher = loadTeacherProto().Teacher;
  const client = new Teacher(options.server.grpcAddress, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": 64 << 20,
  });
  try {
    const behaviour = i % 4 === 3 ? "deaf" : i % 4 === 2 ? "vanishing" : "reading";
    const run = i % 3 === 1 ? interleave : score;
    return await run({ client, random, options, ledger, behaviour });
  } finally {
    client.close();
  }
}

interface ClientRun {
  readonly client: TeacherClient;
  readonly random: () => number;
  readonly options: LoadFuzzOptions;
  readonly ledger: Ledger;
  readonly behaviour: "reading" | "deaf" | "vanishing";
}

/** Half of them small, some up to the limit, a few beyond it. */
function lengthOf(random: () => number, limit: number): number {
  const kind = random();
  if (kind < 0.5) return 1 + Math.floor(random() * Math.min(16, limit));
  if (kind < 0.97) return 1 + Math.floor(random() * limit);
  return limit + 1;
}

function signalOf(random: () => number): SignalSpec {
  const may = <T>(chance: number, value: T): T | undefined =>
    random() < chance ? value : undefined;
  return {
    token: true,
    topK: Math.floor(random() ** 3 * 1025),
    moments: random() < 0.3,
    draws: may(0.1, 1 + Math.floor(random() * 64)) ?? 0,
    dense: may(0.2, "DENSE_TYPE_F32" as const) ?? "DENSE_TYPE_UNSPECIFIED",
    hiddenLayers: may(0.2, [0, 1]) ?? [],
    taus: may(0.2, [0.5, 2]) ?? [],
    encoding: random() < 0.5 ? "ENCODING_COMPACT" : "ENCODING_PLAIN",
  };
}

async function score(run: ClientRun): Promise<number> {
  const { client, random, options, ledger, behaviour } = run;
  const call = client.score();
  const open = new Set<number>();
  const settle = (id: number) => {
    open.delete(id);
    if (open.size === 0) wake();
  };
  let wake = (): void => {};
  let failure: Error | undefined;
  call.on("error", (error: Error) => {
    failure = error;
    wake();
  });
  if (behaviour !== "deaf") {
    call.on(
      "data",
      (message: { results: { id: number; last: boolean }[]; errors: ItemError__Output[] }) => {
        for (const { id, last } of message.results) {
          if (!last) continue;
          ledger.results++;
          settle(id);
        }
        for (const error of message.errors) refused(ledger, error, () => settle(error.id));
      },
    );
  }
  for (let id = 0; id < options.items; id++) {
    const length = lengthOf(random, options.contextLength);
    const tokens = Array.from({ length }, () => Math.floor(random() * options.vocabSize));
    const from = 1 + Math.floor(random() * length);
    const item = { id, tokens: u32(tokens), from, next: true, signal: signalOf(random) };
    open.add(id);
    if (behaviour === "reading") ledger.sent++;
    call.write({ items: [item] });
    if (id % 16 === 15) await delay(0);
  }
  if (behaviour !== "reading") {
    await delay(behaviour === "deaf" ? 1500 : 30);
    call.cancel();
    return 0;
  }
  call.end();
  if (open.size > 0 && failure === undefined)
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  return open.size;
}

async function interleave(run: ClientRun): Promise<number> {
  const { client, random, options, ledger, behaviour } = run;
  const call = client.interleave();
  const open = new Set<string>();
  const settle = (sequence: number, start: number) => {
    open.delete(`${sequence}:${start}`);
    if (open.size === 0) wake();
  };
  let wake = (): void => {};
  let failure: Error | undefined;
  call.on("error", (error: Error) => {
    failure = error;
    wake();
  });
  if (behaviour !== "deaf") {
    call.on(
      "data",
      (message: {
        verdicts: { sequence: number; start: number; last: boolean }[];
        stales: { sequence: number; start: number }[];
        errors: ItemError__Output[];
      }) => {
        for (const { sequence, start, last } of message.verdicts) {
          if (!last) continue;
          ledger.results++;
          settle(sequence, start);
        }
        for (const { sequence, start } of message.stales) {
          ledger.results++;
          settle(sequence, start);
        }
        for (const error of message.errors) {
          // A refused open is answered too, beside its drafts.
          if (error.start === undefined) continue;
          refused(ledger, error, () => settle(error.id, error.start as number));
        }
      },
    );
  }
  for (let sequence = 0; sequence < options.items; sequence++) {
    const length = lengthOf(random, options.contextLength - 16);
    const prompt = Array.from({ length }, () => Math.floor(random() * options.vocabSize));
    const drafts = [0, 4].map((start) => ({
      sequence,
      start,
      tokens: u32([1, 2, 3, 4]),
    }));
    for (const { start } of drafts) open.add(`${sequence}:${start}`);
    if (behaviour === "reading") ledger.sent += drafts.length;
    const opens = [{ sequence, prompt: u32(prompt), maxResponse: 16, signal: signalOf(random) }];
    call.write({ opens, drafts });
    if (sequence % 16 === 15) await delay(0);
  }
  if (behaviour !== "reading") {
    await delay(behaviour === "deaf" ? 1500 : 30);
    call.cancel();
    return 0;
  }
  call.end();
  if (open.size > 0 && failure === undefined)
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  return open.size;
}

function refused(ledger: Ledger, { code }: ItemError__Output, settle: () => void): void {
  ledger.errors[code] = (ledger.errors[code] ?? 0) + 1;
  settle();
}
