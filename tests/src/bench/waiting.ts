/** Whether a step should wait for more work before it begins: students that each send a block of drafts, read their verdict and think, simulated with the
 * cost of a step as `latency --rows 1` and `--rows 8` measure it. Waits of fixed length, and one that ends when, at the measured rate of arrivals, the next
 * block would cost those who wait more than it spares.
 * Options: --fixed-ms MS (38, of a step), --row-ms MS (20, of each row), --max-rows N (64), --seconds S (600, simulated). */
import { parseArgs } from "node:util";
import { philox4x32 } from "@tandem/shared/numeric/philox.js";

interface Costs {
  readonly fixedMs: number;
  readonly rowMs: number;
  readonly maxRows: number;
  readonly seconds: number;
}

interface Load {
  readonly clients: number;
  readonly thinkMs: number;
}

const LOADS: readonly Load[] = [
  { clients: 2, thinkMs: 100 },
  { clients: 8, thinkMs: 100 },
  { clients: 8, thinkMs: 500 },
  { clients: 16, thinkMs: 200 },
  { clients: 32, thinkMs: 1000 },
];

/** How long a step with so many waiting waits at most for the next arrival; 0 = it begins. */
type Policy = (waiting: number, meanGapMs: number, waitedMs: number) => number;

const policies = ({ fixedMs }: Costs): Readonly<Record<string, Policy>> => ({
  none: () => 0,
  "5 ms": (_, __, waited) => 5 - waited,
  "20 ms": (_, __, waited) => 20 - waited,
  adaptive: (waiting, gap) => (waiting * gap < fixedMs ? gap : 0),
});

export function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    strict: false,
    options: {
      "fixed-ms": { type: "string", default: "38" },
      "row-ms": { type: "string", default: "20" },
      "max-rows": { type: "string", default: "64" },
      seconds: { type: "string", default: "600" },
    },
  });
  const costs: Costs = {
    fixedMs: Number(values["fixed-ms"]),
    rowMs: Number(values["row-ms"]),
    maxRows: Number(values["max-rows"]),
    seconds: Number(values["seconds"]),
  };
  const loads = LOADS.map((load) => ({
    ...load,
    waits: Object.fromEntries(
      Object.entries(policies(costs)).map(([name, wait]) => [name, simulate(load, costs, wait)]),
    ),
  }));
  return Promise.resolve({ ...costs, loads });
}

function simulate({ clients, thinkMs }: Load, costs: Costs, wait: Policy) {
  let draws = 0;
  const think = () =>
    -thinkMs * Math.log(((philox4x32([draws++, 0, 0, 0], [5, 6])[0] as number) + 0.5) / 2 ** 32);
  const arrivals = Array.from({ length: clients }, think).sort((a, b) => a - b);
  let waiting: number[] = [];
  let gap = thinkMs / clients;
  let last = 0;
  const take = (until: number) => {
    for (let at = arrivals[0]; at !== undefined && at <= until; at = arrivals[0]) {
      gap = 0.9 * gap + 0.1 * (at - last);
      last = at;
      waiting.push(at);
      arrivals.shift();
    }
  };
  const latencies: number[] = [];
  let now = 0;
  while (now < 1000 * costs.seconds) {
    now = waiting.length === 0 ? Math.max(now, arrivals[0] as number) : now;
    take(now);
    const free = now;
    for (let more = wait(waiting.length, gap, 0); more > 0;) {
      const next = arrivals[0] ?? Infinity;
      if (next > now + more) {
        now += more;
        break;
      }
      now = next;
      take(now);
      more = wait(waiting.length, gap, now - free);
    }
    const step = waiting.slice(0, costs.maxRows);
    waiting = waiting.slice(costs.maxRows);
    now += costs.fixedMs + costs.rowMs * step.length;
    for (const at of step) {
      latencies.push(now - at);
      arrivals.push(now + think());
    }
    arrivals.sort((a, b) => a - b);
  }
  const sorted = latencies.toSorted((a, b) => a - b);
  return {
    blocksPerSecond: (1000 * latencies.length) / now,
    meanLatencyMs: latencies.reduce((sum, ms) => sum + ms, 0) / latencies.length,
    p95LatencyMs: sorted[Math.floor(0.95 * sorted.length)],
  };
}
