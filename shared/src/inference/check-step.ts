import { TandemError } from "../errors/tandem-error.js";
import { parseStateNumber } from "../wire/state-number.js";
import { KV_BLOCK } from "./kv-blocks.js";
import { lawCount } from "./law-count.js";
import { onlySamples } from "./only-samples.js";
import type { HeadRequest, Step, StepRow } from "./step.js";

export interface StepLimits {
  readonly vocabulary: number;
  /** Longest row. */
  readonly maxLength: number;
  readonly layers: number;
  /** Valid positions of a cache; 0 when it does not exist. */
  lengthOf(cache: number): number;
  /** Whether something was saved under this number. */
  hasBlock(block: number): boolean;
}

/** Checks a whole step before anything is touched.
 * @throws TandemError INVALID_ARGUMENT, OUT_OF_RANGE or FAILED_PRECONDITION; the message names row and value. */
export function assertStep(step: Step, limits: StepLimits): void {
  const released = new Set(step.release);
  const lengthOf = (cache: number) => (released.has(cache) ? 0 : limits.lengthOf(cache));
  const seen = new Set<number>();
  for (const row of step.rows) {
    if (seen.has(row.cache)) fail("INVALID_ARGUMENT", `cache ${row.cache} appears twice in a step`);
    seen.add(row.cache);
    const length = lengthAfterLoad(row, lengthOf(row.cache), limits);
    if (row.past > length) {
      fail(
        "FAILED_PRECONDITION",
        `row of cache ${row.cache} continues at position ${row.past}, the cache holds ${length}`,
      );
    }
    assertRow(row, limits);
  }
}

/** Valid positions of a row's cache once its blocks are loaded. */
function lengthAfterLoad(
  { cache, load = [] }: StepRow,
  cached: number,
  limits: StepLimits,
): number {
  let length = cached;
  for (const [i, { block, start }] of load.entries()) {
    if (!limits.hasBlock(block))
      fail(
        "FAILED_PRECONDITION",
        `cache ${cache} is to load block ${block}, which was never saved`,
      );
    if (i === 0 ? start > length : start !== length)
      fail(
        "FAILED_PRECONDITION",
        `cache ${cache} is to load block ${block} at position ${start}, but holds ${length}`,
      );
    length = start + KV_BLOCK;
  }
  return length;
}

function assertRow(row: StepRow, { vocabulary, maxLength, layers }: StepLimits): void {
  const { cache, past, tokens } = row;
  if (tokens.length === 0)
    fail("INVALID_ARGUMENT", `row of cache ${cache} has no tokens; at least one is needed`);
  if (!Number.isSafeInteger(past) || past < 0)
    fail("INVALID_ARGUMENT", `row of cache ${cache}: past ${past} is not a position`);
  const length = Math.max(past + tokens.length, row.maxLength);
  if (length > maxLength) {
    throw new TandemError(
      "OUT_OF_RANGE",
      `row of cache ${cache} would reach ${length} positions, the model holds ${maxLength}; shorten it or raise max-model-len`,
      { limit: maxLength },
    );
  }
  assertIds(tokens, vocabulary, `tokens of cache ${cache}`);
  for (const { block, start } of row.save ?? []) {
    if (start + KV_BLOCK > past + tokens.length)
      fail(
        "INVALID_ARGUMENT",
        `block ${block} is to keep positions ${start} to ${start + KV_BLOCK - 1} of cache ${cache}, which ends at ${past + tokens.length}`,
      );
  }
  if (row.head !== undefined) assertHead(row.head, row, { vocabulary, layers });
}

function assertHead(
  head: HeadRequest,
  { cache, tokens }: StepRow,
  { vocabulary, layers }: { vocabulary: number; layers: number },
): void {
  const n = lawCount(head);
  if (n === 0 || head.first < 0 || head.first + n > tokens.length) {
    fail(
      "INVALID_ARGUMENT",
      `row of cache ${cache} asks for ${n} laws from ${head.first} on, but brings ${tokens.length} tokens`,
    );
  }
  assertIds(head.targets, vocabulary, `targets of cache ${cache}`);
  if (head.spec.topK < 0 || head.spec.topK > vocabulary) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `top_k ${head.spec.topK} exceeds the vocabulary ${vocabulary}`,
      {
        field: "signal.top_k",
        limit: vocabulary,
      },
    );
  }
  if (!(head.spec.topPMass > 0 && head.spec.topPMass <= 1)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `top_p_mass ${head.spec.topPMass} is not a probability above 0; 1 sends whole lists`,
      { field: "signal.top_p_mass" },
    );
  }
  const layer = head.spec.hiddenLayers.find((i) => parseStateNumber(i, layers) === undefined);
  if (layer !== undefined) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `hidden layer ${layer} does not exist; 0 (embedding) to ${layers} do, and projections of blocks 1 to ${layers}`,
      {
        field: "signal.hidden_layers",
        limit: layers,
      },
    );
  }
  if (head.ahead !== undefined && !onlySamples(head))
    fail(
      "INVALID_ARGUMENT",
      `row of cache ${cache} wants tokens ahead and a signal in one request`,
    );
  assertTemperatures(head, n);
  assertAtIds(head, n, vocabulary);
  if (
    head.random === undefined &&
    (head.spec.draws > 0 || head.verify !== undefined || head.sample !== undefined)
  ) {
    fail(
      "INVALID_ARGUMENT",
      `row of cache ${cache} wants random tokens without saying what they are counted by`,
    );
  }
  if (head.verify !== undefined && head.sample !== undefined) {
    fail(
      "INVALID_ARGUMENT",
      `row of cache ${cache} wants drafts verified and a token sampled in one request`,
    );
  }
}

function assertTemperatures({ taus, spec }: HeadRequest, n: number): void {
  if (taus !== undefined && taus.length % n !== 0) {
    fail("INVALID_ARGUMENT", `${taus.length} temperatures do not divide into ${n} positions`);
  }
  const wrong = (taus ?? spec.taus).find((tau) => !(tau > 0 && Number.isFinite(tau)));
  if (wrong !== undefined)
    fail("INVALID_ARGUMENT", `temperature ${wrong} is not a finite number > 0`);
}

function assertAtIds({ atIds, atOffsets }: HeadRequest, n: number, vocabulary: number): void {
  if ((atIds === undefined) !== (atOffsets === undefined))
    fail("INVALID_ARGUMENT", "at_ids and at_offsets come together");
  if (atIds === undefined || atOffsets === undefined) return;
  const rising = atOffsets.every((offset, i) => i === 0 || offset >= atOffsets[i - 1]!);
  if (
    atOffsets.length !== n + 1 ||
    atOffsets[0] !== 0 ||
    atOffsets[n] !== atIds.length ||
    !rising
  ) {
    fail(
      "INVALID_ARGUMENT",
      `at_offsets must be ${n + 1} rising numbers from 0 to ${atIds.length}`,
    );
  }
  assertIds(atIds, vocabulary, "at_ids");
}

function assertIds(ids: Uint32Array, vocabulary: number, what: string): void {
  for (let i = 0; i < ids.length; i++) {
    if (ids[i]! >= vocabulary) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${what}: id ${ids[i]} at index ${i}; ids are below ${vocabulary}`,
        {
          limit: vocabulary,
        },
      );
    }
  }
}

function fail(code: "INVALID_ARGUMENT" | "FAILED_PRECONDITION", message: string): never {
  throw new TandemError(code, message);
}
