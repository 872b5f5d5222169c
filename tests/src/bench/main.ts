/** `npm run bench -- NAME [options]`: runs one bench, prints its JSON on stdout and with `--out FILE` writes it there too. */
import { writeFileSync } from "node:fs";
import { arch, cpus, platform, totalmem } from "node:os";
import { parseArgs } from "node:util";

interface Bench {
  run(args: string[]): Promise<object>;
}

const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  wire: () => import("./wire.js"),
  "wire-methods": () => import("./wire-methods.js"),
  teacher: () => import("./teacher.js"),
  train: () => import("./train.js"),
  skd: () => import("./skd.js"),
  latency: () => import("./latency.js"),
  waiting: () => import("./waiting.js"),
  beside: () => import("./beside.js"),
  losses: () => import("./losses.js"),
  reuse: () => import("./reuse.js"),
  store: () => import("./store.js"),
  start: () => import("./start.js"),
  fairness: () => import("./fairness.js"),
  methods: () => import("./methods.js"),
  fuzz: () => import("./fuzz.js"),
  soak: () => import("./soak.js"),
  crowd: () => import("./crowd.js"),
  chaos: () => import("./chaos.js"),
  memory: () => import("./memory.js"),
  overload: () => import("./overload.js"),
};

const [name, ...args] = process.argv.slice(2);
const bench = name === undefined ? undefined : BENCHES[name];
if (bench === undefined) {
  console.error(
    `usage: npm run bench -- {${Object.keys(BENCHES).join(" | ")}} [options] [--out FILE]`,
  );
  process.exit(2);
}
const { values } = parseArgs({ args, options: { out: { type: "string" } }, strict: false });
const results = await (await bench()).run(args);
const report = JSON.stringify(
  {
    bench: name,
    date: new Date().toISOString(),
    machine: {
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      platform: `${platform()}-${arch()}`,
      node: process.version,
    },
    results,
  },
  undefined,
  2,
);
console.log(report);
if (typeof values.out === "string") writeFileSync(values.out, `${report}\n`);
