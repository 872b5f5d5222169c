/** What tests/peers/make_training_fixtures.py computed about whole models. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";

/** Prompt length, and all tokens. */
export type TokenRow = readonly [number, readonly number[]];

export function fixturePath(file: string): string {
  return fileURLToPath(new URL(`../../../fixtures/training/${file}`, import.meta.url));
}

export async function readFixtureJson<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(fixturePath(file), "utf8")) as T;
}

/** Given text as the trainer sees it. */
export function toRollout([promptLength, tokens]: TokenRow, row: number): Rollout {
  const response = Uint32Array.from(tokens.slice(promptLength));
  return {
    row,
    sample: 0,
    epoch: 0,
    prompt: Uint32Array.from(tokens.slice(0, promptLength)),
    response,
    authors: new Uint8Array(response.length).fill(AUTHOR.data),
    finish: "length",
    stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
  };
}
