import { parseArgs } from "node:util";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { startLiveServer, type LiveServer } from "../helpers/live-server.js";
import { mulberry32 } from "../helpers/mulberry32.js";
import { u32 } from "../helpers/teacher-stream.js";
import { spread } from "./spread.js";

const LENGTH = 64;
const STREAMS = 8;

interface Phase {
  readonly offeredPerSecond: number;
  readonly acceptedPerSecond: number;
  readonly refusedPerSecond: number;
  /** From sending to the last frame, of those that were answered. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** From sending to the refusal. */
  readonly refusalP99Ms: number;
}

const FACTORS = [0.8, 2, 4];

/** Score items at a multiple of what the server can do: `--model DIR --rounds 5 --seconds 8 --timeout-ms 2000`. A round takes the capacity (closed
 * loop, enough in flight to fill every step), then an open loop at 0.8, 2 and 4 times that; on a shared machine capacity comes and goes, so goodput is
 * told against the mean of those before and after. Goodput is what was answered within its deadline. */
export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string", default: "examples/demo/teacher" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "8" },
      "timeout-ms": { type: "string", default: "2000" },
    },
    strict: false,
  });
  const seconds = Number(values.seconds);
  const timeoutMs = Number(values["timeout-ms"]);
  const server = await startLiveServer({
    model: String(values.model),
    args: ["--enable-prefix-caching", "off"],
  });
  try {
    const vocabulary = await vocabularyOf(server);
    const load = new Load(server, { vocabulary, timeoutMs });
    await load.closedLoop(2, 64);
    const capacities = [(await load.closedLoop(seconds, 64)).acceptedPerSecond];
    const rounds: Phase[][] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      const phases: Phase[] = [];
      for (const factor of FACTORS)
        phases.push(await load.openLoop(seconds, factor * capacities[round]!));
      rounds.push(phases);
      capacities.push((await load.closedLoop(seconds, 64)).acceptedPerSecond);
    }
    load.close();
    const phases = FACTORS.map((factor, at) => {
      const measured = rounds.map((round) => round[at]!);
      const goodput = measured.map(
        ({ acceptedPerSecond }, i) =>
          acceptedPerSecond / ((capacities[i]! + capacities[i + 1]!) / 2),
      );
      return [`x${factor}`, { goodputOfCapacity: spread(goodput), ...medians(measured) }];
    });
    return {
      timeoutMs,
      rounds: rounds.length,
      capacityPerSecond: spread(capacities),
      phases: Object.fromEntries(phases),
    };
  } finally {
    await server.stop();
  }
}

function medians(phases: readonly Phase[]): Phase {
  const median = (name: keyof Phase) => spread(phases.map((phase) => phase[name])).median;
  return {
    offeredPerSecond: median("offeredPerSecond"),
    acceptedPerSecond: median("acceptedPerSecond"),
    refusedPerSecond: median("refusedPerSecond"),
    p50Ms: median("p50Ms"),
    p99Ms: median("p99Ms"),
    refusalP99Ms: median("refusalP99Ms"),
  };
}

function vocabularyOf(server: LiveServer): Promise<number> {
  return new Promise((resolve, reject) =>
    server.client.describe({}, (error, answer) =>
      error === null ? resolve(answer?.vocabSize ?? 0) : reject(error),
    ),
  );
}

/** How a server that has too much to do may refuse an item. */
const OVERLOAD_CODES: readonly string[] = [
  "ERROR_CODE_RESOURCE_EXHAUSTED",
  "ERROR_CODE_DEADLINE_EXCEEDED",
];

interface Outcome {
  readonly accepted: boolean;
  readonly ms: number;
}

/** Streams on which items are asked and counted. */
class Load {
  readonly #calls;
  readonly #random = mulberry32(1);
  readonly #plan: { readonly vocabulary: number; readonly timeoutMs: number };
  readonly #open = new Map<
    number,
    { readonly sentMs: number; readonly done: (o: Outcome) => void }
  >();
  #nextId = 0;

  constructor(
    server: LiveServer,
    plan: { readonly vocabulary: number; readonly timeoutMs: number },
  ) {
    this.#plan = plan;
    this.#calls = Array.from({ length: STREAMS }, () => {
      const call = server.client.score();
      call.on("error", () => {});
      call.on("data", (message: ScoreResponse__Output) => {
        for (const { id, last } of message.results) if (last) this.#settle(id, true);
        for (const { id, code, reason } of message.errors) {
          if (!OVERLOAD_CODES.includes(code)) throw new Error(reason);
          this.#settle(id, false);
        }
      });
      return call;
    });
  }

  close(): void {
    for (const call of this.#calls) call.cancel();
  }

  /** As many items at once, for so long. */
  async closedLoop(seconds: number, atOnce: number): Promise<Phase> {
    const began = performance.now();
    const end = began + 1000 * seconds;
    const outcomes: Outcome[] = [];
    const worker = async () => {
      while (performance.now() < end) outcomes.push(await this.#ask());
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return summarise(outcomes, (performance.now() - began) / 1000);
  }

  /** So many items a second, whatever comes back. */
  async openLoop(seconds: number, perSecond: number): Promise<Phase> {
    const outcomes: Promise<Outcome>[] = [];
    const began = performance.now();
    const total = Math.round(seconds * perSecond);
    while (outcomes.length < total) {
      const due = Math.min(total, ((performance.now() - began) * perSecond) / 1000);
      while (outcomes.length < due) outcomes.push(this.#ask());
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return summarise(await Promise.all(outcomes), (performance.now() - began) / 1000);
  }

  #ask(): Promise<Outcome> {
    const id = this.#nextId++;
    const { vocabulary, timeoutMs } = this.#plan;
    const tokens = Array.from({ length: LENGTH }, () => Math.floor(this.#random() * vocabulary));
    const item = { id, tokens: u32(tokens), from: 1, signal: { topK: 8 }, timeoutMs };
    return new Promise((done) => {
      this.#open.set(id, { sentMs: performance.now(), done });
      this.#calls[id % STREAMS]?.write({ items: [item] });
    });
  }

  #settle(id: number, accepted: boolean): void {
    const asked = this.#open.get(id);
    this.#open.delete(id);
    asked?.done({ accepted, ms: performance.now() - asked.sentMs });
  }
}

function summarise(outcomes: readonly Outcome[], seconds: number): Phase {
  const times = (accepted: boolean) =>
    outcomes
      .filter((outcome) => outcome.accepted === accepted)
      .map(({ ms }) => ms)
      .sort((a, b) => a - b);
  const [answered, refused] = [times(true), times(false)];
  const quantile = (sorted: readonly number[], q: number) =>
    Math.round(sorted[Math.floor(q * (sorted.length - 1))] ?? 0);
  return {
    offeredPerSecond: outcomes.length / seconds,
    acceptedPerSecond: answered.length / seconds,
    refusedPerSecond: refused.length / seconds,
    p50Ms: quantile(answered, 0.5),
    p99Ms: quantile(answered, 0.99),
    refusalP99Ms: quantile(refused, 0.99),
  };
}
