import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { CallObserver } from "../calls/call-context.js";
import type { EngineStep, EngineStepResult } from "../scheduler/engine-step.js";
import { frameBytes } from "../scheduler/frame-bytes.js";
import type { StoreObserver } from "../store/signal-store.js";

/** Seconds from a fast draft on a tiny model to a long prefill. */
const SECONDS_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
const TOKENS_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

/** What is read at the moment of a scrape. */
export interface GaugeSources {
  readonly waitingJobs: () => number;
  readonly runningRows: () => number;
  readonly openStreams: () => number;
  readonly kvUsedBytes: () => number;
  readonly kvLimitBytes: () => number;
  readonly kvEvictions: () => number;
  readonly sharedPositions: () => number;
  readonly prefixBlocks: () => number;
  readonly prefixEvictions: () => number;
  readonly coalescedItems: () => number;
  readonly storeMemoryBytes: () => number;
  readonly storeDiskBytes: () => number;
  readonly itemBytes: () => number;
  readonly itemLimitBytes: () => number;
  readonly queuedPositions: () => number;
  readonly engineRestarts: () => number;
  readonly engineUp: () => boolean;
  readonly engineBytes: () => number;
}

/** Every metric of the server, in one place. Base units; labels from closed sets only. */
export class Metrics {
  readonly registry = new Registry();
  readonly #registers = [this.registry];
  readonly #calls = this.#counter(
    "teacher_requests_total",
    "gRPC calls by method and final code.",
    ["method", "code"],
  );
  readonly #items = this.#counter(
    "teacher_items_total",
    "Score items, drafts and generated sequences by method and outcome.",
    ["method", "code"],
  );
  readonly #rejected = this.#counter(
    "teacher_rejected_total",
    "Items answered with an error, by reason.",
    ["code"],
  );
  readonly #queueWait = this.#histogram(
    "teacher_queue_wait_seconds",
    "Time from arrival to the first step.",
    ["method"],
    SECONDS_BUCKETS,
  );
  readonly #itemCompute = this.#histogram(
    "teacher_item_compute_seconds",
    "Time in the steps that computed an item.",
    ["method"],
    SECONDS_BUCKETS,
  );
  readonly #stepSeconds = this.#histogram(
    "teacher_step_seconds",
    "Wall time of a forward pass, with encoding and transport to the engine.",
    [],
    SECONDS_BUCKETS,
  );
  readonly #stepCompute = this.#histogram(
    "teacher_step_compute_seconds",
    "Time of a forward pass inside the engine.",
    [],
    SECONDS_BUCKETS,
  );
  readonly #batchRows = this.#histogram(
    "teacher_batch_rows",
    "Rows per forward pass.",
    [],
    TOKENS_BUCKETS,
  );
  readonly #batchTokens = this.#histogram(
    "teacher_batch_tokens",
    "Positions per forward pass.",
    [],
    TOKENS_BUCKETS,
  );
  readonly #headPositions = this.#counter(
    "teacher_head_positions_total",
    "Positions that went through the LM head.",
    [],
  );
  readonly #positions = this.#counter(
    "teacher_positions_total",
    "Positions computed for answered items: verify (drafts judged), replay (drafts judged again), score, generate, prefill (known tokens), reopened (known tokens of re-opened sessions).",
    ["kind"],
  );
  readonly #reused = this.#counter(
    "teacher_reused_positions_total",
    "Positions taken over from the KV cache.",
    [],
  );
  readonly #saved = this.#counter(
    "teacher_saved_positions_total",
    "Positions of items that were answered from the store, or with an equal item's answer.",
    [],
  );
  readonly #storeLookups = this.#counter(
    "teacher_store_lookups_total",
    "Score items looked for in the store of finished signals, by where they were found: memory, disk, redis or miss.",
    ["outcome"],
  );
  readonly #storeCorrupt = this.#counter(
    "teacher_store_corrupt_total",
    "Entries of the store that were damaged and computed again.",
    ["tier"],
  );
  readonly #payload = this.#counter(
    "teacher_payload_bytes_total",
    "Bytes of encoded signals, without the messages around them.",
    ["encoding"],
  );
  readonly #draftTokens = this.#counter(
    "teacher_draft_tokens_total",
    "Draft tokens judged, by outcome.",
    ["outcome"],
  );
  readonly #replacements = this.#counter(
    "teacher_replacements_total",
    "Tokens the teacher wrote in place of a rejected draft.",
    [],
  );
  readonly #stales = this.#counter(
    "teacher_stale_drafts_total",
    "Drafts that were sent before a replacement became known.",
    [],
  );
  readonly #sessions = this.#gauge(
    "teacher_open_sequences",
    "Sequences open on Interleave streams.",
  );

  constructor(sources: GaugeSources) {
    collectDefaultMetrics({ register: this.registry, prefix: "teacher_" });
    this.#scraped("teacher_waiting_items", "Items that wait for a step.", sources.waitingJobs);
    this.#scraped(
      "teacher_running_rows",
      "Rows of the forward pass that is computed now.",
      sources.runningRows,
    );
    this.#scraped(
      "teacher_open_streams",
      "Open Score, Interleave and Generate calls.",
      sources.openStreams,
    );
    this.#scraped("teacher_kv_cache_used_bytes", "Bytes of KV caches in use.", sources.kvUsedBytes);
    this.#scraped(
      "teacher_kv_cache_limit_bytes",
      "Bytes that KV caches may use.",
      sources.kvLimitBytes,
    );
    this.#scraped(
      "teacher_kv_cache_evictions",
      "KV caches thrown out to make room, since the start.",
      sources.kvEvictions,
    );
    this.#scraped(
      "teacher_prefix_cache_positions",
      "Positions taken over from sequences that begin alike, since the start.",
      sources.sharedPositions,
    );
    this.#scraped(
      "teacher_prefix_cache_blocks",
      "Blocks of 16 positions that are kept for such sequences.",
      sources.prefixBlocks,
    );
    this.#scraped(
      "teacher_prefix_cache_evictions",
      "Blocks that gave way to others, since the start.",
      sources.prefixEvictions,
    );
    this.#scraped(
      "teacher_coalesced_items",
      "Items that got the answer of an equal one that was being computed, since the start.",
      sources.coalescedItems,
    );
    this.#scraped(
      "teacher_store_memory_bytes",
      "Bytes of finished signals in memory.",
      sources.storeMemoryBytes,
    );
    this.#scraped(
      "teacher_store_disk_bytes",
      "Bytes of finished signals on disk.",
      sources.storeDiskBytes,
    );
    this.#scraped(
      "teacher_item_memory_used_bytes",
      "Bytes of items that are here and of answers that wait for their reader.",
      sources.itemBytes,
    );
    this.#scraped(
      "teacher_item_memory_limit_bytes",
      "Bytes that items and answers may take, by --memory-limit.",
      sources.itemLimitBytes,
    );
    this.#scraped(
      "teacher_queued_positions",
      "Positions of admitted items that are not answered yet.",
      sources.queuedPositions,
    );
    this.#scraped(
      "teacher_engine_restarts",
      "Restarts of the engine process since the start.",
      sources.engineRestarts,
    );
    this.#scraped("teacher_engine_up", "1 while the engine process computes.", () =>
      sources.engineUp() ? 1 : 0,
    );
    this.#scraped(
      "teacher_engine_resident_memory_bytes",
      "Memory of the engine process: weights, KV caches and one step.",
      sources.engineBytes,
    );
  }

  /** Facts about the build and the model, as labels of a constant 1. */
  setModelInfo(labels: Readonly<Record<string, string>>): void {
    const info = new Gauge({
      name: "teacher_model_info",
      help: "The served model.",
      labelNames: Object.keys(labels),
      registers: this.#registers,
    });
    info.set(labels, 1);
  }

  onCall(method: string, code: string): void {
    this.#calls.inc({ method, code });
  }

  onStep(step: EngineStep, result: EngineStepResult, elapsedMs: number): void {
    this.#stepSeconds.observe(elapsedMs / 1000);
    this.#stepCompute.observe(result.computeMs / 1000);
    this.#batchRows.observe(step.rows.length);
    this.#batchTokens.observe(result.computedPositions);
    this.#headPositions.inc(result.headPositions);
    step.rows.forEach(({ encoding }, i) => {
      for (const { message } of result.rows[i]?.frames ?? []) {
        this.#payload.inc({ encoding: encoding?.encoding ?? "plain" }, frameBytes(message));
      }
    });
  }

  observer(): CallObserver {
    return {
      onItem: (method, code, usage) => {
        this.#items.inc({ method, code });
        if (code !== "OK") this.#rejected.inc({ code });
        if (usage === undefined) return;
        this.#queueWait.observe({ method }, usage.queueMs / 1000);
        this.#itemCompute.observe({ method }, usage.computeMs / 1000);
        this.#reused.inc(usage.reusedPositions);
        this.#saved.inc(usage.savedPositions);
      },
      onDraft: ({ offered, accepted, replaced, replay }) => {
        if (replay) return;
        this.#draftTokens.inc({ outcome: "accepted" }, accepted);
        this.#draftTokens.inc({ outcome: "rejected" }, offered - accepted);
        if (replaced) this.#replacements.inc();
      },
      onStale: () => this.#stales.inc(),
      onPositions: (kind, count) => this.#positions.inc({ kind }, count),
      onSessions: (change) => this.#sessions.inc(change),
    };
  }

  storeObserver(): StoreObserver {
    return {
      onLookup: (outcome) => this.#storeLookups.inc({ outcome }),
      onCorrupt: (tier) => this.#storeCorrupt.inc({ tier }),
    };
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: this.#registers });
  }

  #histogram<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: readonly number[],
  ): Histogram<L> {
    return new Histogram({
      name,
      help,
      labelNames: [...labelNames],
      buckets: [...buckets],
      registers: this.#registers,
    });
  }

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: this.#registers });
  }

  #scraped(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: this.#registers,
      collect() {
        this.set(read());
      },
    });
  }
}
