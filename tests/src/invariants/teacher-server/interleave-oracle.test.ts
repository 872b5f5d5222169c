import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { hash32 } from "@tandem/shared/numeric/hash32.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { driveInterleave, type Driven, type DriveOptions } from "./skd-driver.js";
import { LawSource } from "./law-source.js";
import {
  writeTokenByToken,
  type Rules,
  type Sequence,
  type Student,
  type Written,
} from "./skd-oracle.js";

const VOCABULARY = 97;

const sequences: readonly Sequence[] = [
  { id: 11, rngKey: 101, prompt: [1, 5, 9, 60], maxResponse: 13, stopIds: [2] },
  { id: 12, rngKey: 102, prompt: [7], maxResponse: 12, stopIds: [2, 50, 51, 52, 53, 54, 55, 56] },
  { id: 13, rngKey: 103, prompt: [1, 5, 9, 60], maxResponse: 9, stopIds: [] },
  {
    id: 14,
    rngKey: 104,
    prompt: Array.from({ length: 45 }, (_, i) => (i * 7) % VOCABULARY),
    maxResponse: 10,
    stopIds: [3],
  },
];

const ruleSets: readonly (readonly [string, Rules])[] = [
  ["rank < 4", { rule: { rank: 4 }, temperature: 1, topK: 0, topP: 1, runSeed: 7 }],
  [
    "top-p 0.6, teacher at temperature 0.7",
    { rule: { topP: 0.6 }, temperature: 0.7, topK: 0, topP: 0.9, runSeed: 8 },
  ],
  [
    "min-p 0.02, teacher's 5 best",
    { rule: { minP: 0.02 }, temperature: 1.3, topK: 5, topP: 1, runSeed: 9 },
  ],
  [
    "greedy, greedy teacher",
    { rule: { greedy: true }, temperature: 0, topK: 0, topP: 1, runSeed: 10 },
  ],
];

let server: LiveServer;
let laws: LawSource;
let staleCount = 0;

/** Half of the time the teacher's best token, else mostly one of its six best, on both sides of every rule's border, sometimes any. */
const student: Student = async ({ id, prompt }, response) => {
  const word = hash32([id, response.length, response.at(-1) ?? 0]);
  if (word % 8 === 0) return (word >>> 8) % VOCABULARY;
  const law = await laws.law([...prompt, ...response]);
  const order = [...law.keys()].sort((a, b) => (law[b] as number) - (law[a] as number) || a - b);
  return order[word % 8 < 5 ? 0 : (word >>> 8) % 6] as number;
};

const oracles = new Map<Rules, Promise<readonly Written[]>>();
function oracle(rules: Rules): Promise<readonly Written[]> {
  const known =
    oracles.get(rules) ??
    Promise.all(sequences.map((sequence) => writeTokenByToken(sequence, rules, student, laws)));
  oracles.set(rules, known);
  return known;
}

async function assertEqualsOracle(
  rules: Rules,
  options: Partial<DriveOptions> & { readonly blockLength: number },
): Promise<readonly Driven[]> {
  const expected = await oracle(rules);
  const driven = await driveInterleave({
    client: server.client,
    sequences,
    rules,
    student,
    ...options,
  });
  driven.forEach(({ tokens, byTeacher, finish }, i) => {
    assert.deepEqual({ tokens, byTeacher, finish }, expected[i], `sequence ${sequences[i]?.id}`);
  });
  return driven;
}

describe("interleaving over gRPC", () => {
  before(async () => {
    server = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--max-num-batched-tokens", "40"],
    });
    laws = new LawSource(server.client);
  });
  after(async () => {
    await server.stop();
  });

  it("judges a mixture of accepted and rejected drafts, with stops and length limits, in these tests", async () => {
    const all = (await Promise.all(ruleSets.map(([, rules]) => oracle(rules)))).flat();
    const byTeacher = all.flatMap((written) => written.byTeacher);
    const share = byTeacher.filter(Boolean).length / byTeacher.length;
    assert.ok(share > 0.1 && share < 0.8, `share of the teacher: ${share}`);
    assert.deepEqual(
      new Set(all.map(({ finish }) => finish)),
      new Set(["FINISH_STOP", "FINISH_LENGTH"]),
    );
  });

  for (const [name, rules] of ruleSets) {
    for (const blockLength of [1, 3, 8]) {
      it(`writes what a token-by-token loop writes: ${name}, blocks of ${blockLength}`, async () => {
        const driven = await assertEqualsOracle(rules, { blockLength });
        for (const { verdicts, judged, sequence } of driven.map((each, i) => ({
          ...each,
          sequence: sequences[i] as Sequence,
        }))) {
          verdicts.forEach(({ usage, accepted, replacement }, i) => {
            const kept = accepted + (replacement === undefined ? 0 : 1);
            const behind = (judged[i] as number) - kept;
            assert.equal(
              (usage?.computedPositions ?? 0) - (usage?.prefillPositions ?? 0),
              kept + behind,
              "kept + drafts behind the first rejection",
            );
            // What a sequence before it began with alike was taken over.
            const { prefillPositions = 0, reusedPositions = 0 } = usage ?? {};
            assert.deepEqual(
              i === 0 ? prefillPositions + reusedPositions : prefillPositions,
              i === 0 ? sequence.prompt.length - 1 : 0,
              "the prompt once, nothing twice",
            );
          });
        }
      });
    }
  }

  for (const [name, rules] of ruleSets) {
    it(`writes the same with drafts sent ahead: ${name}`, async () => {
      const driven = await assertEqualsOracle(rules, { blockLength: 2, ahead: 3 });
      staleCount += driven.reduce((sum, { stales }) => sum + stales, 0);
      const verdicts = driven.flatMap((each) =>
        each.verdicts.map((verdict, i) => ({ verdict, judged: each.judged[i] as number })),
      );
      for (const { verdict, judged } of verdicts) {
        assert.equal(
          (verdict.usage?.computedPositions ?? 0) - (verdict.usage?.prefillPositions ?? 0),
          judged,
        );
      }
    });

    it(`writes the same when every sequence is opened again half-way: ${name}`, async () => {
      await assertEqualsOracle(rules, { blockLength: 3, ahead: 2, reopenAfter: 7 });
    });
  }

  it("had drafts ahead of rejections in these tests", () => {
    assert.ok(staleCount > 0);
  });

  it("writes the same beside strangers that score and write on other streams", async () => {
    const strangers = Array.from({ length: 4 }, (_, i) => ({
      id: i,
      rngKey: 900 + i,
      prompt: [i + 1, 2 * i],
      maxResponse: 30,
      stopIds: [],
    }));
    const rules = (ruleSets[0] as readonly [string, Rules])[1];
    const noise = driveInterleave({
      client: server.client,
      sequences: strangers,
      rules: { ...rules, runSeed: 99 },
      student,
      blockLength: 5,
    });
    await assertEqualsOracle(rules, { blockLength: 3 });
    await noise;
  });

  it("answers with the signal that scoring the finished sequence gives, bit for bit", async () => {
    const rules = (ruleSets[0] as readonly [string, Rules])[1];
    const signal = { topK: 5, token: true, moments: true, taus: [0.5, 2] };
    const driven = await assertEqualsOracle(rules, { blockLength: 3, signal });
    const stream = server.client.score();
    const scored = new Promise<Map<number, unknown[]>>((resolve, reject) => {
      const byId = new Map<number, unknown[]>();
      stream.on("data", ({ results }: { results: { id: number; frames: unknown[] }[] }) => {
        for (const { id, frames } of results) byId.set(id, [...(byId.get(id) ?? []), ...frames]);
      });
      stream.on("end", () => resolve(byId));
      stream.on("error", reject);
    });
    driven.forEach(({ tokens }, i) => {
      const { prompt, id } = sequences[i] as Sequence;
      const all = Uint32Array.from([...prompt, ...tokens]);
      stream.write({
        items: [{ id, tokens: Buffer.from(all.buffer), from: prompt.length, signal }],
      });
    });
    stream.end();
    const byId = await scored;
    driven.forEach(({ verdicts }, i) => {
      const { id, prompt } = sequences[i] as Sequence;
      const frames = verdicts.flatMap((verdict) => verdict.frames);
      assert.equal(frames[0]?.from, prompt.length);
      assert.deepEqual(joined(frames), joined(byId.get(id) as typeof frames), `sequence ${id}`);
    });
  });
});

describe("interleaving with a KV pool that holds one sequence", () => {
  it("writes the same after every eviction, and computes the evicted tokens again", async () => {
    // Slots hold the sequence's final length, the longest here 55 positions: 9,216 bytes: the pool has room for one such cache.
    const small = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--kv-cache-memory-bytes", "10000"],
    });
    const roomy = server;
    try {
      server = small;
      laws = new LawSource(small.client);
      const [, rules] = ruleSets[0] as readonly [string, Rules];
      const driven = await assertEqualsOracle(rules, { blockLength: 3 });
      const prefill = driven.flatMap(({ verdicts }) =>
        verdicts.slice(1).map(({ usage }) => usage?.prefillPositions ?? 0),
      );
      assert.ok(
        prefill.some((count) => count > 0),
        "something was evicted",
      );
      const metrics = await (await fetch(`http://${small.httpAddress}/metrics`)).text();
      assert.match(metrics, /teacher_kv_cache_evictions [1-9]/);
    } finally {
      server = roomy;
      await small.stop();
    }
  });
});

/** Every array of the frames, joined over the frames. */
function joined(frames: readonly { readonly plain?: object | null }[]): Record<string, string> {
  const parts: Record<string, string> = {};
  for (const { plain } of frames) {
    for (const [name, value] of Object.entries(plain ?? {})) {
      if (value instanceof Uint8Array)
        parts[name] = (parts[name] ?? "") + Buffer.from(value).toString("hex");
    }
  }
  return parts;
}
