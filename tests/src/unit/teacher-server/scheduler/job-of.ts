import type { Job } from "@tandem/teacher-server/scheduler/job.js";
import type { EngineStep, EngineStepResult } from "@tandem/teacher-server/scheduler/engine-step.js";
import { Scheduler, type SchedulerOptions } from "@tandem/teacher-server/scheduler/scheduler.js";
import { KvPool } from "@tandem/teacher-server/sessions/kv-pool.js";
import { PrefixTree } from "@tandem/teacher-server/sessions/prefix-tree.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";

export interface JobWish {
  readonly id: number;
  readonly client?: number;
  readonly owner?: Job["owner"];
  readonly priority?: Job["priority"];
  readonly kind?: Job["kind"];
  /** Known tokens before the first law's position. */
  readonly prefill?: number;
  readonly laws?: number;
  readonly arrivedMs?: number;
  readonly deadlineMs?: number;
  readonly maxLength?: number;
  /** Added to every token: sequences with equal offsets begin alike. */
  readonly offset?: number;
}

/** A job over tokens offset, offset + 1, …, with a cache of its own number. */
export function jobOf(wish: JobWish): Job {
  const { prefill = 0, laws = 4, kind = "score", offset = 0 } = wish;
  const length = prefill + laws;
  return {
    id: wish.id,
    client: wish.client ?? 1,
    owner: wish.owner ?? { name: `owner ${wish.client ?? 1}`, weight: 1 },
    priority: wish.priority ?? (kind === "score" ? "normal" : "high"),
    kind,
    cache: wish.id,
    tokens: Uint32Array.from({ length }, (_, i) => offset + i),
    headFrom: prefill,
    head: {
      targets: Uint32Array.from({ length: laws }, (_, i) => offset + prefill + i + 1),
      spec: NO_SIGNAL,
      random: { runSeed: 1, rngKey: 2, firstPosition: 0 },
    },
    encoding: { encoding: "plain", maxLogitError: 0 },
    atomic: kind === "draft" || kind === "generate",
    maxLength: wish.maxLength ?? length,
    arrivedMs: wish.arrivedMs ?? 0,
    deadlineMs: wish.deadlineMs ?? Infinity,
  };
}

/** A result that says nothing but that everything was computed. */
export function resultOf(step: EngineStep, computeMs = 10): EngineStepResult {
  return {
    rows: step.rows.map(({ cache }) => ({ cache, frames: [] })),
    computeMs,
    computedPositions: step.rows.reduce((sum, { tokens }) => sum + tokens.length, 0),
    headPositions: 0,
  };
}

/** `cache:past+count` of every row, `!` behind those with laws. */
export function show(step: EngineStep | undefined): string[] {
  return (step?.rows ?? []).map(
    ({ cache, past, tokens, head }) =>
      `${cache}:${past}+${tokens.length}${head === undefined ? "" : "!"}`,
  );
}

/** A scheduler of small steps over a pool in which a position is a byte. */
export function schedulerOf(
  options: Partial<SchedulerOptions> = {},
  limitBytes = Infinity,
  prefixBlocks = 0,
): { scheduler: Scheduler; pool: KvPool } {
  const pool = new KvPool({ limitBytes, cacheBytes: (length) => length });
  return {
    scheduler: new Scheduler(
      {
        maxBatchTokens: 16,
        maxTokensBesideDrafts: 16,
        maxRows: 8,
        maxWaitMs: 1000,
        quantum: 4,
        ...options,
      },
      pool,
      new PrefixTree(prefixBlocks),
    ),
    pool,
  };
}
