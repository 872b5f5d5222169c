/** Eight students on one teacher: how much all together get of what a single one gets that keeps the teacher busy, and how evenly. Every student is a client
 * with a stream of its own that always has items waiting; the rounds of one and of many take turns.
 * Options: --model DIR, --students N (8), --length N (128), --top-k K (64), --seconds S (20, of each measurement), --runs N (5), --threads N (all),
 * --uneven (every other student has items of twice the length). */
import { Metadata } from "@grpc/grpc-js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { startLiveServer, type LiveServer } from "../helpers/live-server.js";
import { TeacherStream, u32 } from "../helpers/teacher-stream.js";
import { cpuTicks } from "./cpu-ticks.js";
import { benchOptions } from "./bench-options.js";
import { randomTokens } from "./random-tokens.js";
import { spread } from "./spread.js";

/** Items that a student keeps waiting: enough that the teacher could fill its steps with them alone. */
const WAITING = 12;

const DEFAULTS = { students: 8, length: 128, topK: 64, seconds: 20, runs: 5, uneven: false };

type Options = ReturnType<typeof benchOptions<typeof DEFAULTS>>;

export async function run(args: string[]): Promise<object> {
  const options = benchOptions(args, DEFAULTS);
  const server = await startLiveServer({
    model: options.model,
    args: ["--threads", String(options.threads)],
  });
  try {
    return await measure(server, options);
  } finally {
    await server.stop();
  }
}

async function measure(server: LiveServer, options: Options): Promise<object> {
  const single: number[] = [];
  const together: number[] = [];
  const shares: number[] = [];
  const evenness: number[] = [];
  const cpuShares: number[] = [];
  const ticks: number[] = [];
  const pids = [server.process.pid as number, server.enginePid()];
  const seeds = new Seeds();
  await rates(server, { ...options, students: 1, seconds: 3 }, seeds);
  for (let round = 0; round < options.runs; round++) {
    const before = cpuTicks(pids);
    const [alone] = (await rates(server, { ...options, students: 1 }, seeds)) as [number];
    const between = cpuTicks(pids);
    const all = await rates(server, options, seeds);
    ticks.push((cpuTicks(pids) - between) / (between - before));
    const total = all.reduce((a, b) => a + b);
    single.push(alone);
    together.push(total);
    shares.push(total / alone);
    cpuShares.push(total / alone / (ticks.at(-1) as number));
    evenness.push(jainIndex(all));
  }
  return {
    ...options,
    singlePositionsPerSecond: spread(single),
    totalPositionsPerSecond: spread(together),
    totalOfSingle: spread(shares),
    // The same per processor time of the server, for machines that others use at the same time (Linux only).
    ...(cpuShares.every(Number.isFinite) && { totalOfSinglePerCpuTime: spread(cpuShares) }),
    jainIndex: spread(evenness),
    wanted: "totalOfSingle.median >= 0.95, jainIndex.median >= 0.95",
  };
}

/** (Σx)² / (n Σx²): 1 when all get the same, 1/n when one gets all (Jain, Chiu & Hawe 1984). */
function jainIndex(values: readonly number[]): number {
  const sum = values.reduce((a, b) => a + b);
  const squares = values.reduce((a, b) => a + b * b, 0);
  return (sum * sum) / (values.length * squares);
}

/** No item is asked for twice: equal ones would be computed once. */
class Seeds {
  #next = 1;

  next(): number {
    return this.#next++;
  }
}

/** Positions per second of each student while all of them are busy. */
async function rates(server: LiveServer, options: Options, seeds: Seeds): Promise<number[]> {
  const until = performance.now() + 1000 * options.seconds;
  return Promise.all(
    Array.from({ length: options.students }, (_, student) =>
      study(server, { ...options, student, until }, seeds),
    ),
  );
}

/** Keeps items waiting until the time is over; returns the positions per second from the first answer to the last. */
async function study(
  server: LiveServer,
  plan: Options & { readonly student: number; readonly until: number },
  seeds: Seeds,
): Promise<number> {
  const metadata = new Metadata();
  metadata.set("tandem-client", `student-${plan.student}`);
  const stream = new TeacherStream(server.client.score(metadata));
  const length = plan.uneven && plan.student % 2 === 1 ? 2 * plan.length : plan.length;
  let nextId = 0;
  const ask = (): void =>
    stream.send({
      items: [
        {
          id: nextId++,
          tokens: u32(randomTokens(length + 1, seeds.next())),
          from: 1,
          signal: { topK: plan.topK, token: true },
        },
      ],
    });
  for (let i = 0; i < WAITING; i++) ask();
  let rows = 0;
  let firstMs = NaN;
  let lastMs = NaN;
  for (;;) {
    const message = (await stream.next()) as ScoreResponse__Output;
    if (performance.now() >= plan.until) break;
    if (message.errors.length > 0)
      throw new TandemError("INTERNAL", message.errors[0]?.reason ?? "");
    lastMs = performance.now();
    const isFirst = Number.isNaN(firstMs);
    if (isFirst) firstMs = lastMs;
    for (const { frames, last } of message.results) {
      // What is answered in pieces counts piece by piece.
      for (const { count } of frames) rows += isFirst ? 0 : count;
      if (last) ask();
    }
  }
  stream.call.on("error", () => {});
  stream.call.cancel();
  return (1000 * rows) / (lastMs - firstMs);
}
