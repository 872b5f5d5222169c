/** The cases of tests/peers/make_gold_fixtures.py: what TRL's GOLD trainer makes of one text in two tokenizers. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { loadTokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { evaluateLoss } from "@tandem/student-trainer";
import {
  spansOf,
  UNMATCHED,
  type AlignedSignal,
} from "@tandem/student-trainer/losses/aligned-signal.js";
import {
  TranslatingTeacher,
  type SpanMerge,
} from "@tandem/student-trainer/teacher/translating-teacher.js";
import type { ScoreQuestion } from "@tandem/student-trainer/teacher/score-stream.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { readTensors } from "../../helpers/tiny-models.js";

interface GoldFixture {
  readonly text: string;
  readonly ids: { readonly student: readonly number[]; readonly teacher: readonly number[] };
  readonly matched: number;
  readonly cases: readonly {
    readonly merge: SpanMerge;
    readonly options: Readonly<Record<string, unknown>>;
    readonly value: number;
  }[];
}

const path = (name: string) => fileURLToPath(new URL(`../../../fixtures/${name}`, import.meta.url));
const tensors = await readTensors(path("losses/gold.safetensors"));
const fixture = JSON.parse(await readFile(path("losses/gold.json"), "utf8")) as GoldFixture;
const student = await loadTokenizer(path("tokenizer/byte-level"));
const teacher = await loadTokenizer(path("tokenizer/sentencepiece"));
const response = Uint32Array.from(fixture.ids.student);
const prompt = Uint32Array.of(7, 8);

/** Knows the fixture's law of each of the teacher's tokens. */
const inner = {
  score: async ({ tokens, from, signal: spec }: ScoreQuestion) => {
    assert.deepEqual([...tokens.subarray(0, from)], [...prompt]);
    assert.deepEqual([...tokens.subarray(from)], fixture.ids.teacher);
    const known = {
      vocabulary: teacher.vocabularySize,
      teacher: tensors.get("teacher.logits")!,
      student: [],
      targets: tokens.subarray(from),
    };
    const { signal } = signalOfLogits(known, { spec, studentTopK: 0 });
    return { signal: { ...signal, from }, computedPositions: 3, reusedPositions: 0 };
  },
};

async function ask(merge: SpanMerge, topK: number) {
  const options = { student, teacher, merge, stopIds: [], teacherStopId: undefined };
  const translating = new TranslatingTeacher(inner, options);
  const tokens = Uint32Array.of(...prompt, ...response);
  const signal = { ...NO_SIGNAL, topK };
  const answer = await translating.score({ tokens, from: prompt.length, signal });
  return { answer, match: translating.match };
}

async function evaluate(merge: SpanMerge, options: Readonly<Record<string, unknown>>) {
  const { answer, match } = await ask(merge, options["topK"] as number);
  const size = { layers: 1, width: 1 };
  const translation = { ...match, vocabulary: teacher.vocabularySize };
  return evaluateLoss({
    loss: "gold",
    options,
    studentLogits: tensors.get("student.logits")!,
    vocabulary: student.vocabularySize,
    targets: response,
    signal: { ...answer.signal!, from: 1 },
    sizes: { student: size, teacher: { ...size, translation } },
  });
}

describe("gold equals TRL's GOLD trainer", () => {
  fixture.cases.forEach(({ merge, options, value }, index) => {
    it(`${merge} ${JSON.stringify(options)}`, async () => {
      const result = await evaluate(merge, options);
      // Float32 throughout.
      const tolerance = { rtol: 2e-4, atol: 1e-5 };
      assertAllClose([result.value], [value], tolerance, "value");
      assertAllClose(result.gradient, tensors.get(`${index}.gradient`)!, tolerance, "gradient");
    });
  });
});

describe("a teacher with another tokenizer", () => {
  it("matches as many tokens as their bytes do", async () => {
    const { match } = await ask("last", 5);
    assert.equal(match.matched, fixture.matched);
  });

  it("says its law once for each run of tokens that both end at the same byte", async () => {
    const { answer } = await ask("last", 5);
    const spans = spansOf(answer.signal)!;
    assert.equal(answer.signal!.count, response.length);
    const runs = new Set(spans.run);
    assert.ok(runs.size > 5 && runs.size < response.length);
    for (const run of runs) {
      const members = [...spans.run.keys()].filter((row) => spans.run[row] === run);
      const bearers = members.filter((row) => spans.bears[row] === 1);
      assert.deepEqual(bearers, [members.at(-1)]);
    }
  });

  it("pairs the end of the student's response with its own end of text", async () => {
    const [stop, end] = [student.eosId!, teacher.eosId!];
    const asked: number[][] = [];
    const options = {
      student,
      teacher,
      merge: "last" as const,
      stopIds: [stop],
      teacherStopId: end,
    };
    const watching = {
      score: async ({ tokens, from, signal: spec }: ScoreQuestion) => {
        const targets = tokens.subarray(from);
        asked.push([...targets]);
        const { vocabularySize: vocabulary } = teacher;
        const laws = new Float32Array(targets.length * vocabulary);
        const known = { vocabulary, teacher: laws, student: [], targets };
        const { signal } = signalOfLogits(known, { spec, studentTopK: 0 });
        return { signal: { ...signal, from }, computedPositions: 0, reusedPositions: 0 };
      },
    };
    const tokens = Uint32Array.of(...prompt, ...response, stop);
    const { signal } = await new TranslatingTeacher(watching, options).score({
      tokens,
      from: prompt.length,
      signal: { ...NO_SIGNAL, topK: 2 },
    });
    assert.deepEqual(asked, [[...fixture.ids.teacher, end]]);
    assert.equal(spansOf(signal)!.bears.at(-1), 1);
  });

  it("leaves out a character that the response does not finish", async () => {
    const text = student.encode("a学", { special: false });
    const cut = text.subarray(0, -1);
    const watching = {
      score: async ({ tokens, from, signal: spec }: ScoreQuestion) => {
        const targets = tokens.subarray(from);
        assert.equal(teacher.decode(targets).trim(), "a");
        const { vocabularySize: vocabulary } = teacher;
        const laws = new Float32Array(targets.length * vocabulary);
        const known = { vocabulary, teacher: laws, student: [], targets };
        const { signal } = signalOfLogits(known, { spec, studentTopK: 0 });
        return { signal: { ...signal, from }, computedPositions: 0, reusedPositions: 0 };
      },
    };
    const options = {
      student,
      teacher,
      merge: "last" as const,
      stopIds: [],
      teacherStopId: undefined,
    };
    const { signal } = await new TranslatingTeacher(watching, options).score({
      tokens: Uint32Array.of(...prompt, ...cut),
      from: prompt.length,
      signal: { ...NO_SIGNAL, topK: 2 },
    });
    assert.deepEqual([...spansOf(signal)!.bears], [1, ...cut.subarray(1).map(() => 0)]);
  });
});

describe("gold", () => {
  it("has the gradient of its value, through all tokens of a run", async () => {
    const [rows, vocabulary] = [4, 6];
    const spans = {
      run: Uint32Array.of(0, 0, 1, UNMATCHED),
      bears: Uint8Array.of(0, 1, 1, 0),
      others: Float32Array.of(0, -0.3, 0, 0),
    };
    const signal: AlignedSignal = {
      from: 1,
      count: rows,
      topK: 3,
      tauCount: 0,
      topIds: Uint32Array.from(Array.from({ length: rows }, () => [2, UNMATCHED, 4]).flat()),
      topLogits: Float32Array.from(Array.from({ length: rows }, () => [2, 1, 0.5]).flat()),
      lse: new Float32Array(rows).fill(2.6),
      logTail: new Float32Array(rows).fill(-2.2),
      spans,
    };
    const translation = { vocabulary: 5, matched: 4, studentOnly: Uint32Array.of(1, 5) };
    const size = { layers: 1, width: 1 };
    const evaluateAt = (studentLogits: Float64Array) =>
      evaluateLoss({
        loss: "gold",
        options: { topK: 3, beta: 0.3, matchedShare: 0.6 },
        studentLogits,
        vocabulary,
        targets: Uint32Array.of(3, 1, 0, 2),
        signal,
        sizes: { student: size, teacher: { ...size, translation } },
        engine: "reference",
      });
    const logits = Float64Array.from({ length: rows * vocabulary }, (_, at) => Math.sin(at * 1.7));
    const { gradient, perToken } = await evaluateAt(logits);
    assert.deepEqual(
      [...perToken].map((value) => value > 0),
      [false, true, true, false],
    );
    const step = 1e-6;
    for (let at = 0; at < logits.length; at++) {
      const moved = async (by: number) =>
        (await evaluateAt(logits.with(at, logits[at]! + by))).value;
      const slope = ((await moved(step)) - (await moved(-step))) / (2 * step);
      assertAllClose([gradient[at]!], [slope], { rtol: 1e-5, atol: 1e-8 }, `logit ${at}`);
    }
  });
});
