import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { createLogger } from "@tandem/shared/telemetry/logger.js";
import { Quarantine } from "@tandem/teacher-server/engine/quarantine.js";
import { StepLoop } from "@tandem/teacher-server/engine/step-loop.js";
import type { EngineStep, EngineStepResult } from "@tandem/teacher-server/scheduler/engine-step.js";
import type { Job } from "@tandem/teacher-server/scheduler/job.js";
import { jobOf, schedulerOf } from "../scheduler/job-of.js";

const POISON = 666;
const ITEMS = 48;

/** A loop over an engine that dies of a token, and students that send again what the loss of an engine cost them. */
class Rig {
  readonly answers = new Map<number, "OK" | TandemError["code"]>();
  losses = 0;
  readonly #logger = createLogger({ name: "test", level: "silent", format: "json" });
  readonly #loop = new StepLoop({
    scheduler: schedulerOf({ maxBatchTokens: 1000, maxRows: 64 }).scheduler,
    run: (step) => this.#run(step),
    clock: { now: () => 0 },
    logger: this.#logger,
    observer: { onStep: () => {} },
  });
  #killAt = new Set<number>();
  #steps = 0;

  constructor() {
    this.#loop.engineUp();
  }

  /** Somebody kills the engine during these steps. */
  killAt(...steps: readonly number[]): void {
    this.#killAt = new Set(steps);
  }

  async answer(jobs: readonly Job[]): Promise<void> {
    await Promise.all(jobs.map((job) => this.#ask(job)));
    this.#loop.close();
  }

  #ask(job: Job): Promise<void> {
    return new Promise((resolve) => {
      const settle = (code: "OK" | TandemError["code"]) => {
        this.answers.set(job.id, code);
        resolve();
      };
      const send = (cache: number): void => {
        this.#loop.submit(
          { ...job, cache },
          {
            onProgress: ({ done }) => done && settle("OK"),
            onFailure: ({ code }) =>
              code === "UNAVAILABLE" ? setImmediate(() => send(cache + 1000)) : settle(code),
          },
        );
      };
      send(job.id);
    });
  }

  async #run(step: EngineStep): Promise<EngineStepResult> {
    await new Promise((resolve) => setImmediate(resolve));
    const poisoned = step.rows.some(({ tokens }) => tokens.includes(POISON));
    if (poisoned || this.#killAt.has(this.#steps++)) {
      this.losses++;
      const error = new TandemError("UNAVAILABLE", "the engine was lost");
      this.#loop.engineDown(error);
      setImmediate(() => this.#loop.engineUp());
      throw error;
    }
    const rows = step.rows.map(({ cache }) => ({ cache, frames: [] }));
    return { rows, computeMs: 1, computedPositions: rows.length, headPositions: 0 };
  }
}

const innocent = (id: number) => jobOf({ id, client: id % 5, offset: 10 * id });

describe("an item that ends the engine", () => {
  it("is found among others, which are all answered, and refused", async () => {
    const rig = new Rig();
    const poisoned = jobOf({ id: 17, offset: POISON - 2 });
    const others = Array.from({ length: ITEMS }, (_, i) => innocent(i)).filter(
      ({ id }) => id !== 17,
    );
    await rig.answer([...others, poisoned]);
    assert.equal(rig.answers.get(17), "INVALID_ARGUMENT");
    assert.ok(others.every(({ id }) => rig.answers.get(id) === "OK"));
    // Halved from 48 to one: six times at most; then three times alone.
    assert.ok(rig.losses <= 10, `${rig.losses} losses`);
  });

  it("is not mistaken for one that was there when somebody killed the engine", async () => {
    const rig = new Rig();
    rig.killAt(0, 1, 3, 4, 6, 9);
    const jobs = Array.from({ length: ITEMS }, (_, i) => innocent(i));
    await rig.answer(jobs);
    assert.equal(rig.losses, 6);
    assert.ok(jobs.every(({ id }) => rig.answers.get(id) === "OK"));
  });
});

describe("Quarantine", () => {
  it("computes everything at once as long as nothing is suspect", () => {
    const jobs = [innocent(1), innocent(2)];
    assert.deepEqual(new Quarantine().groups(jobs), [[0, 1]]);
    assert.deepEqual(new Quarantine().groups([]), [[]]);
  });

  it("puts suspects behind the others, in groups of half the size", () => {
    const quarantine = new Quarantine();
    const jobs = Array.from({ length: 6 }, (_, i) => innocent(i));
    quarantine.lost(jobs.slice(0, 4));
    assert.deepEqual(quarantine.groups(jobs), [
      [4, 5],
      [0, 1],
      [2, 3],
    ]);
    quarantine.survived(jobs.slice(0, 2));
    quarantine.lost(jobs.slice(2, 4));
    assert.deepEqual(quarantine.groups(jobs), [[0, 1, 4, 5], [2], [3]]);
  });

  it("knows an item by what is asked, not by who asks", () => {
    const quarantine = new Quarantine();
    for (let i = 0; i < 3; i++) quarantine.lost([innocent(1)]);
    const again = { ...innocent(1), id: 99, client: 7, cache: 1234 };
    assert.throws(() => quarantine.assertAllowed(again), { code: "INVALID_ARGUMENT" });
    quarantine.assertAllowed({ ...again, tokens: Uint32Array.of(1, 2, 3, 4) });
  });
});
