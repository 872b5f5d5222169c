import { invariant } from "@tandem/shared/errors/invariant.js";
import { placeValues } from "@tandem/shared/models/decoder.js";
import type { Graph } from "@tandem/shared/onnx/graph.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import type { Session } from "@tandem/shared/runtime/session.js";
import {
  modelParameters,
  type NamedValues,
  type StudentModel,
} from "../checkpoint/student-model.js";
import type { LossSet } from "../losses/loss-set.js";
import type { SignalRequirement } from "../losses/signal-requirement.js";
import { buildGradientGraph, gradientName, type GradientGraphOptions } from "./gradient-graph.js";
import type { PackedMicrobatch } from "./pack-microbatch.js";
import { buildProbeGraph, probeName } from "./probe-graph.js";

export interface GradientEngineOptions {
  readonly model: StudentModel;
  readonly vocabulary: number;
  readonly losses: LossSet;
  readonly requirement: SignalRequirement;
  /** What the losses own, by the names that the loss set gives it; left out: nothing. */
  readonly lossParameters?: readonly NamedValues[];
  readonly threads: number;
}

/** Of a microbatch, Σ coefficient·value over its positions. */
export interface LossSums {
  /** Of each loss, unweighted. */
  readonly losses: readonly number[];
  /** Of each of `LossSet.measures`. */
  readonly measures: readonly number[];
}

const MAX_SESSIONS = 2;

/** By number of chunks, the one used last at the end. */
type SessionCache = Map<number, Promise<Session>>;

/** What a microbatch is computed with, besides its tensors. */
export interface LossNumbers {
  /** Of the losses, in their order. */
  readonly weights: readonly number[];
  readonly scalars: readonly number[];
}

/** Computes losses and gradients of microbatches and sums the gradients up, in buffers that live as long as the engine. */
export class GradientEngine {
  readonly #options: GradientEngineOptions;
  readonly #parameters: readonly NamedValues[];
  readonly #weightFeeds: Readonly<Record<string, HostTensor>>;
  /** The sum, and where a microbatch that is not the first of its step puts its own. */
  readonly #sums: ReadonlyMap<string, HostTensor>;
  #own: ReadonlyMap<string, HostTensor> | undefined;
  /** By number of chunks, the one used last at the end; sizes of rows and positions are free. */
  readonly #sessions: SessionCache = new Map();
  readonly #probeSessions: SessionCache = new Map();

  constructor(options: GradientEngineOptions) {
    this.#options = options;
    this.#parameters = [...modelParameters(options.model), ...(options.lossParameters ?? [])];
    this.#weightFeeds = Object.fromEntries(
      this.#parameters.map(({ name, shape, values }) => [name, f32Tensor(values, shape)]),
    );
    this.#sums = this.#allocate();
  }

  /** By parameter name: the sum since the last microbatch that was the first of its step. */
  get gradients(): ReadonlyMap<string, Float32Array> {
    return new Map([...this.#sums].map(([name, { data }]) => [name, data as Float32Array]));
  }

  /** Adds a microbatch's gradients to the sum; with `first`, the sum begins anew. */
  async accumulate(
    { chunks, positions, feeds }: PackedMicrobatch,
    { weights, scalars }: LossNumbers,
    first: boolean,
  ): Promise<LossSums> {
    const session = await this.#session(chunks);
    if (!first) this.#own ??= this.#allocate();
    const targets = first ? this.#sums : this.#own!;
    const fetches: Record<string, HostTensor | null> = { losses: null };
    if (this.#options.losses.measureNames.length > 0) fetches["measures"] = null;
    for (const [name, tensor] of targets) fetches[gradientName(name)] = tensor;
    const results = await session.run(
      {
        ...this.#weightFeeds,
        ...feeds,
        ...this.#positionFeeds(positions),
        weights: f32Tensor(Float32Array.from(weights), [weights.length]),
        ...scalarFeeds(scalars),
      },
      fetches,
    );
    if (!first) this.#addOwn();
    const { losses, measures } = results;
    invariant(losses?.dtype === "f32", "the gradient session returns its losses");
    return {
      losses: Array.from(losses.data),
      measures: measures === undefined ? [] : Array.from(measures.data as Float32Array),
    };
  }

  async close(): Promise<void> {
    for (const sessions of [this.#sessions, this.#probeSessions]) {
      for (const session of sessions.values()) await (await session).close();
      sessions.clear();
    }
  }

  /** The losses' probes at each loss position of a microbatch, in its order. */
  async probe(
    { chunks, positions, slots, feeds }: PackedMicrobatch,
    scalars: readonly number[],
  ): Promise<readonly Float32Array[]> {
    const session = await cached(this.#probeSessions, chunks, () =>
      this.#createSession(buildProbeGraph(this.#graphOptions(chunks))),
    );
    const known: Readonly<Record<string, HostTensor>> = {
      ...this.#weightFeeds,
      ...feeds,
      ...this.#positionFeeds(positions),
      ...scalarFeeds(scalars),
    };
    const inputs = Object.entries(known).filter(([name]) => session.inputNames.includes(name));
    const names = Array.from({ length: this.#options.losses.probeCount }, (_, at) => probeName(at));
    const results = await session.run(Object.fromEntries(inputs), names);
    return names.map((name) => {
      const values = results[name]!.data as Float32Array;
      return Float32Array.from(slots, (slot) => values[slot]!);
    });
  }

  #session(chunks: number): Promise<Session> {
    return cached(this.#sessions, chunks, () =>
      this.#createSession(buildGradientGraph(this.#graphOptions(chunks))),
    );
  }

  #graphOptions(chunks: number): GradientGraphOptions {
    const { model, vocabulary, losses, requirement } = this.#options;
    return { config: model.config, vocabulary, losses, requirement, chunks };
  }

  #createSession(graph: Graph): Promise<Session> {
    // A memory pattern is a second arena of the size of the first, taken from the second run on.
    const { threads } = this.#options;
    return createOrtSession(serializeGraph(graph), { threads, memoryPattern: false });
  }
  #positionFeeds(positions: number): Record<string, HostTensor> {
    const places = placeValues(
      this.#options.model.config,
      Array.from({ length: positions }, (_, at) => at),
    );
    if (places.kind === "learned") return { positions: i64Tensor(places.positions, [positions]) };
    const shape = [positions, places.width];
    return { cos: f32Tensor(places.cos, shape), sin: f32Tensor(places.sin, shape) };
  }

  #allocate(): ReadonlyMap<string, HostTensor> {
    return new Map(
      this.#parameters.map(({ name, shape, values }) => [
        name,
        f32Tensor(new Float32Array(values.length), shape),
      ]),
    );
  }

  #addOwn(): void {
    for (const [name, { data }] of this.#sums) {
      addTo(data as Float32Array, this.#own!.get(name)!.data as Float32Array);
    }
  }
}

/** Each session holds memory for a whole pass, so only the two used last are kept. */
async function cached(
  sessions: SessionCache,
  chunks: number,
  create: () => Promise<Session>,
): Promise<Session> {
  const session = sessions.get(chunks) ?? create();
  sessions.delete(chunks);
  sessions.set(chunks, session);
  if (sessions.size > MAX_SESSIONS) {
    const [oldest, unused] = sessions.entries().next().value!;
    sessions.delete(oldest);
    await (await unused).close();
  }
  return session;
}

function scalarFeeds(scalars: readonly number[]): Record<string, HostTensor> {
  if (scalars.length === 0) return {};
  return { scalars: f32Tensor(Float32Array.from(scalars), [scalars.length]) };
}

function addTo(sum: Float32Array, own: Float32Array): void {
  for (let index = 0; index < sum.length; index++) {
    sum[index] = (sum[index] as number) + (own[index] as number);
  }
}
