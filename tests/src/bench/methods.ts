/** Every method of examples/methods, trained for the same number of generated tokens against a real teacher-server, and what its student can do
 * then. Writes RESULTS/methods.json, a record for each run, and RESULTS/methods.md, the table. A run that is there already, by its configuration and
 * seed, is not repeated. Options: --only a,b (all), --seeds N (3: of those methods that get several), --results FOLDER (docs/results),
 * --problems N (500 held-out ones), --teacher-rows N (50: answers that the teacher judges), --jobs N (1: runs
 * at the same time, each with a teacher of its own), --page (write the table only). */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { methodsPage } from "./methods-page.js";
import { listMethods, SEVERAL_SEEDS, type MethodConfig } from "./methods-plan.js";
import { readRuns, replaceFile, writeRuns, type MethodRun } from "./methods-results.js";
import { examine, runMethod, type Examination } from "./methods-run.js";
import { MethodTeachers, prepareSmallTeacher, TEACHER, WORK } from "./methods-teachers.js";
import { trainer } from "./trainer.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const STUDENT_LAYERS = "0,2,4";

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", default: "" },
      seeds: { type: "string", default: "3" },
      results: { type: "string", default: "docs/results" },
      problems: { type: "string", default: "500" },
      "teacher-rows": { type: "string", default: "50" },
      jobs: { type: "string", default: "1" },
      page: { type: "boolean", default: false },
    },
  });
  process.chdir(ROOT);
  const examination = {
    problems: Number(values.problems),
    teacherRows: Number(values["teacher-rows"]),
  };
  const methods = listMethods();
  const store = new Store(values.results, methods);
  await store.open();
  if (!values.page) {
    const wanted = planRuns(select(methods, values.only), Number(values.seeds));
    const missing = wanted.filter((planned) => !store.has(planned));
    await measure(missing, { store, examination, jobs: Number(values.jobs) });
  }
  await store.write();
  return { runs: store.runs.length, faults: store.runs.filter(({ fault }) => fault !== undefined) };
}

function select(methods: readonly MethodConfig[], only: string): readonly MethodConfig[] {
  if (only === "") return methods;
  return only.split(",").map((name) => {
    const method = methods.find((candidate) => candidate.name === name);
    if (method !== undefined) return method;
    throw new TandemError("INVALID_ARGUMENT", `examples/methods has no ${name}.yaml`, {
      field: "only",
    });
  });
}

interface PlannedRun {
  readonly method: MethodConfig;
  readonly seed: number;
}

/** The first seed of all, then the second of those that get one: a part of the table is a table. */
function planRuns(methods: readonly MethodConfig[], seeds: number): readonly PlannedRun[] {
  const several = methods.filter(({ name }) => SEVERAL_SEEDS.includes(name));
  const others = methods.filter(({ name }) => !SEVERAL_SEEDS.includes(name));
  return Array.from({ length: seeds }, (_, at) =>
    [...several, ...(at === 0 ? others : [])].map((method) => ({ method, seed: at + 1 })),
  ).flat();
}

/** The results on disk: those of configurations that still are what they were. */
class Store {
  readonly #json: string;
  readonly #page: string;
  readonly #methods: readonly MethodConfig[];
  runs: readonly MethodRun[] = [];
  #written: Promise<void> = Promise.resolve();

  constructor(folder: string, methods: readonly MethodConfig[]) {
    this.#json = join(folder, "methods.json");
    this.#page = join(folder, "methods.md");
    this.#methods = methods;
  }

  async open(): Promise<void> {
    const digests = new Map(this.#methods.map(({ name, digest }) => [name, digest]));
    const runs = await readRuns(this.#json);
    this.runs = runs.filter(({ method, digest }) => digests.get(method) === digest);
  }

  has({ method, seed }: PlannedRun): boolean {
    return this.runs.some(
      (run) => run.method === method.name && run.seed === seed && run.signalBytes !== undefined,
    );
  }

  async add(run: MethodRun): Promise<void> {
    const others = this.runs.filter(
      ({ method, seed }) => method !== run.method || seed !== run.seed,
    );
    this.runs = [...others, run].sort(
      (a, b) => a.method.localeCompare(b.method, "en") || a.seed - b.seed,
    );
    await this.write();
  }

  /** One write after the other. */
  write(): Promise<void> {
    this.#written = this.#written.then(async () => {
      await writeRuns(this.#json, this.runs);
      await replaceFile(this.#page, methodsPage(this.#methods, this.runs));
    });
    return this.#written;
  }
}

interface MeasureOptions {
  readonly store: Store;
  readonly examination: Examination;
  readonly jobs: number;
}

async function measure(planned: readonly PlannedRun[], options: MeasureOptions): Promise<void> {
  if (planned.length === 0) return;
  await prepare();
  if (planned.some(({ method }) => method.teachers.includes("small"))) await prepareSmallTeacher();
  const queue = [...planned];
  await Promise.all(Array.from({ length: options.jobs }, () => work(queue, options)));
}

/** Takes runs from the queue until it is empty. */
async function work(queue: PlannedRun[], { store, examination }: MeasureOptions): Promise<void> {
  const teachers = await MethodTeachers.start();
  try {
    const initialKl = await distanceBefore(teachers, examination);
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { method, seed } = next;
      await teachers.startFor(method);
      const runDir = join(WORK, "runs", `${method.name}-${seed}`);
      const setup = { method, seed, teachers, runDir, examination, initialKl };
      const result = await runMethod(setup);
      await store.add(result);
      const verdict = result.fault ?? `${(100 * result.accuracy).toFixed(1)} %`;
      process.stderr.write(
        `${method.name} seed ${seed}: ${verdict}, ${result.seconds.toFixed(0)} s, ${queue.length} to go\n`,
      );
    }
  } finally {
    await teachers.stop();
  }
}

/** Data and student, as examples/methods/README.md makes them. */
async function prepare(): Promise<void> {
  if (!existsSync(join(WORK, "data"))) {
    const script = "examples/demo/make-data.mjs";
    await promisify(execFile)(process.execPath, [script, "--out", join(WORK, "data")]);
  }
  if (existsSync(join(WORK, "initial"))) return;
  const flags = ["--from", TEACHER, "--layers", STUDENT_LAYERS, "--out", join(WORK, "initial")];
  await trainer("init", ...flags);
}

async function distanceBefore(
  teachers: MethodTeachers,
  { teacherRows }: Examination,
): Promise<number> {
  const config = ["--config", "examples/methods/base.yaml", "--model", join(WORK, "initial")];
  const address = ["--set", `teacher.address=${teachers.large.grpcAddress}`];
  const answers = { problems: teacherRows, teacherRows };
  return (await examine([...config, ...address], answers)).teacherKl;
}
