// Writes the demo's data: four-digit × one-digit multiplications with their steps written out, as JSON lines.
//
//   node examples/demo/make-data.mjs [--out runs/demo/data] [--held-out 1000] [--validation 500]
//
// The same files come out every time: which split a problem belongs to, and its place in the file, are hashes of its two factors.
// Of the 72,000 problems (1000…9999 × 2…9) a tenth is held out for the accuracy that is reported, a tenth is for choosing
// hyper-parameters, and the rest is for training. No problem is in two splits.
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** @typedef {{ readonly prompt: string, readonly answer: string }} Example */
/** @typedef {"train" | "validation" | "held-out"} Split */

/** The steps from the last digit on, then the product: 4738*6 → `8*6+0=48;3*6+4=22;7*6+2=44;4*6+4=28:28428`.
 * Every step is digit*multiplier+carry=two digits; the carry is the first of the two digits of the step before.
 * @param {number} multiplicand 1000…9999
 * @param {number} multiplier 2…9
 * @returns {Example} */
export function writeExample(multiplicand, multiplier) {
  const steps = [];
  let carry = 0;
  for (let rest = multiplicand; rest > 0; rest = Math.floor(rest / 10)) {
    const digit = rest % 10;
    const sum = digit * multiplier + carry;
    steps.push(`${digit}*${multiplier}+${carry}=${String(sum).padStart(2, "0")}`);
    carry = Math.floor(sum / 10);
  }
  return {
    prompt: `${multiplicand}*${multiplier}=`,
    answer: `${steps.join(";")}:${multiplicand * multiplier}`,
  };
}

const SPLIT_SEED = 0;
const ORDER_SEED = 0x9e3779b9;

/** The finaliser of MurmurHash3 (Appleby, public domain): every bit of the problem moves every bit of the hash.
 * @param {number} multiplicand
 * @param {number} multiplier
 * @param {number} seed u32
 * @returns {number} u32 */
function hashProblem(multiplicand, multiplier, seed) {
  let hash = (multiplicand * 10 + multiplier) ^ seed;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** @param {number} multiplicand
 * @param {number} multiplier
 * @returns {Split} */
export function splitOf(multiplicand, multiplier) {
  const tenth = hashProblem(multiplicand, multiplier, SPLIT_SEED) % 10;
  if (tenth === 0) return "held-out";
  return tenth === 1 ? "validation" : "train";
}

/** All problems of a split, in an order that looks random and is always the same.
 * @param {Split} split
 * @returns {readonly Example[]} */
export function examplesOf(split) {
  const problems = [];
  for (let multiplicand = 1000; multiplicand <= 9999; multiplicand++) {
    for (let multiplier = 2; multiplier <= 9; multiplier++) {
      if (splitOf(multiplicand, multiplier) !== split) continue;
      const order = hashProblem(multiplicand, multiplier, ORDER_SEED);
      problems.push({ multiplicand, multiplier, order });
    }
  }
  problems.sort((a, b) => a.order - b.order);
  return problems.map(({ multiplicand, multiplier }) => writeExample(multiplicand, multiplier));
}

/** Writes train.jsonl, validation.jsonl and held-out.jsonl into a folder.
 * @param {{ readonly directory: string, readonly heldOutCount: number, readonly validationCount: number }} options
 * @returns {{ readonly train: string, readonly validation: string, readonly heldOut: string }} the paths */
export function writeData({ directory, heldOutCount, validationCount }) {
  mkdirSync(directory, { recursive: true });
  const write = (name, examples) => {
    const path = join(directory, name);
    writeFileSync(path, examples.map((example) => `${JSON.stringify(example)}\n`).join(""));
    return path;
  };
  return {
    train: write("train.jsonl", examplesOf("train")),
    validation: write("validation.jsonl", examplesOf("validation").slice(0, validationCount)),
    heldOut: write("held-out.jsonl", examplesOf("held-out").slice(0, heldOutCount)),
  };
}

if (
  process.argv[1] !== undefined &&
  realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)
) {
  const { values } = parseArgs({
    options: {
      out: { type: "string", default: "runs/demo/data" },
      "held-out": { type: "string", default: "1000" },
      validation: { type: "string", default: "500" },
    },
  });
  const paths = writeData({
    directory: resolve(values.out),
    heldOutCount: Number(values["held-out"]),
    validationCount: Number(values.validation),
  });
  console.log(Object.values(paths).join("\n"));
}
