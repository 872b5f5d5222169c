/** Verification beside a scorer that keeps the teacher busy: how long verdicts take, and what the scorer gets, with bulk work held to --max-tokens-beside-drafts
 * and without. The same model is served twice; both take turns.
 * Options: --model DIR, --rows N (8), --block N (5), --prompt N (64), --top-k K (64), --pause MS (50, between verdicts and the next drafts), --runs N (15), --held N (128),
 * --threads N (all). */
import { setTimeout as pause } from "node:timers/promises";
import { Metadata } from "@grpc/grpc-js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { startLiveServer, type LiveServer } from "../helpers/live-server.js";
import { TeacherStream, u32 } from "../helpers/teacher-stream.js";
import { benchOptions } from "./bench-options.js";
import { randomTokens } from "./random-tokens.js";
import { drawSequences, openServed, type Verifier } from "./served-verifier.js";
import { spread } from "./spread.js";

/** The default of --max-num-batched-tokens: a step of nothing but scoring. */
const STEP_TOKENS = 512;
const ITEM_TOKENS = 256;
const ITEMS_IN_FLIGHT = 8;

const DEFAULTS = { rows: 8, block: 5, prompt: 64, topK: 64, pause: 50, runs: 15, held: 128 };

type Options = ReturnType<typeof benchOptions<typeof DEFAULTS>>;

export async function run(args: string[]): Promise<object> {
  const options = benchOptions(args, DEFAULTS);
  const { vocabSize } = await readModelConfig(options.model);
  const sequences = drawSequences(vocabSize, options);
  const sides = [];
  try {
    for (const beside of [options.held, STEP_TOKENS]) {
      const server = await startLiveServer({
        model: options.model,
        args: ["--threads", String(options.threads), "--max-tokens-beside-drafts", String(beside)],
      });
      const { verify, close } = await openServed(server, sequences, options);
      sides.push({ beside, server, verify, close });
    }
    const results = sides.map(() => ({
      alone: [] as number[],
      beside: [] as number[],
      scored: [] as number[],
    }));
    for (let run = -1; run < options.runs; run++) {
      for (const [i, side] of sides.entries()) {
        const measured = await measureSide(side, options);
        // one run to warm up
        if (run < 0) continue;
        results[i]!.alone.push(...measured.alone);
        results[i]!.beside.push(...measured.beside);
        results[i]!.scored.push(measured.scored);
      }
    }
    return {
      ...options,
      sides: sides.map(({ beside }, i) => ({
        maxTokensBesideDrafts: beside,
        verdictMsAlone: spread(results[i]!.alone),
        verdictMsBesideScoring: spread(results[i]!.beside),
        scoredPositionsPerSecond: spread(results[i]!.scored),
      })),
    };
  } finally {
    for (const { server, close } of sides) {
      await close();
      await server.stop();
    }
  }
}

interface Side extends Verifier {
  readonly server: LiveServer;
}

const VERDICTS = 4;

async function measureSide(side: Side, options: Options) {
  const alone = await verdicts(side, options);
  const scorer = new Scorer(side);
  await scorer.busy();
  const before = scorer.positions;
  const began = performance.now();
  const beside = await verdicts(side, options);
  const scored = (1000 * (scorer.positions - before)) / (performance.now() - began);
  await scorer.stop();
  return { alone, beside, scored };
}

async function verdicts({ verify }: Verifier, { pause: pauseMs }: Options): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < VERDICTS; i++) {
    await pause(pauseMs);
    const began = performance.now();
    await verify();
    times.push(performance.now() - began);
  }
  return times;
}

/** A client that always has items waiting. */
class Scorer {
  positions = 0;
  readonly #stream;
  readonly #reading: Promise<void>;
  readonly #first: Promise<void>;
  #sawFirst: () => void = () => undefined;
  #open = true;
  #inFlight = 0;
  #next = 1;

  constructor({ server }: Side) {
    const metadata = new Metadata();
    metadata.set("tandem-client", "scorer");
    this.#stream = new TeacherStream<object, ScoreResponse__Output>(server.client.score(metadata));
    this.#first = new Promise((resolve) => (this.#sawFirst = resolve));
    for (let i = 0; i < ITEMS_IN_FLIGHT; i++) this.#send();
    this.#reading = this.#read();
  }

  /** Its first answers have come: its work is in every step. */
  busy(): Promise<void> {
    return this.#first;
  }

  /** What is in flight is dropped. */
  async stop(): Promise<void> {
    this.#open = false;
    this.#stream.call.cancel();
    await this.#reading;
  }

  #send(): void {
    const id = this.#next++;
    const tokens = randomTokens(ITEM_TOKENS, id);
    this.#stream.send({ items: [{ id, tokens: u32(tokens), from: 1, signal: { topK: 8 } }] });
    this.#inFlight++;
  }

  async #read(): Promise<void> {
    while (this.#inFlight > 0) {
      const message = await this.#stream.next().catch((error: unknown) => {
        if (this.#open) throw error;
      });
      if (!this.#open) return;
      if (message === undefined) throw new TandemError("INTERNAL", "the scorer's stream ended");
      for (const { frames, last } of message.results) {
        this.positions += frames.reduce((sum, { count }) => sum + count, 0);
        if (!last) continue;
        this.#sawFirst();
        this.#inFlight--;
        this.#send();
      }
    }
  }
}
