import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evaluateLoss, type LossEvaluation, type TeacherSignal } from "@tandem/student-trainer";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** Two positions over three ids, good in every respect. */
const dense = Float32Array.of(3, 2, 1, 0, 1, 0);
const GOOD: LossEvaluation = {
  loss: "forward-kl",
  options: { dense: true },
  studentLogits: Float32Array.of(1, 2, 3, 0, 0, 0),
  vocabulary: 3,
  targets: Uint32Array.of(2, 0),
  signal: { from: 1, count: 2, topK: 0, tauCount: 0, dense },
};
const log = Math.log;
/** Laws 1/2, 1/4, 1/4 and 1/4, 1/2, 1/4; the best two of each. */
const LIST: TeacherSignal = {
  from: 1,
  count: 2,
  topK: 2,
  tauCount: 0,
  topIds: Uint32Array.of(0, 1, 1, 0),
  topLogits: Float32Array.of(log(2), 0, log(2), 0),
  lse: Float32Array.of(log(4), log(4)),
  logTail: Float32Array.of(log(1 / 4), log(1 / 4)),
};
const LISTED = { options: { topK: 2 }, signal: LIST };
const AT: Partial<LossEvaluation> = {
  loss: "dpkd",
  options: {},
  signal: {
    from: 1,
    count: 2,
    topK: 1,
    tauCount: 0,
    logProbs: true,
    topIds: Uint32Array.of(0, 1),
    topLogits: Float32Array.of(log(1 / 2), log(1 / 2)),
    atOffsets: Uint32Array.of(0, 1, 2),
    atLogits: Float32Array.of(log(1 / 4), log(1 / 4)),
  },
  atIds: Uint32Array.of(2, 0),
};
const DRAWS: Partial<LossEvaluation> = {
  loss: "rs-kd",
  options: { draws: 3 },
  signal: {
    from: 1,
    count: 2,
    topK: 0,
    tauCount: 0,
    drawOffsets: Uint32Array.of(0, 2, 3),
    drawIds: Uint32Array.of(0, 2, 1),
    drawCounts: Uint32Array.of(2, 1, 3),
  },
};
const HIDDEN: Partial<LossEvaluation> = {
  loss: "hidden-states",
  options: { pairs: [[-1, -1]] },
  sizes: { student: { layers: 1, width: 2 }, teacher: { layers: 2, width: 3 } },
  studentLayers: { 1: Float32Array.of(1, 2, 3, 4) },
  signal: { from: 1, count: 2, topK: 0, tauCount: 0, hidden: new Map([[2, dense]]) },
};
const SMALL_AND_LARGE: Partial<LossEvaluation> = {
  loss: "teacher-mixture",
  options: { dense: true, teachers: ["small", "large"] },
  signals: { small: GOOD.signal!, large: GOOD.signal! },
};

const GOOD_ONES: readonly Partial<LossEvaluation>[] = [
  {},
  LISTED,
  AT,
  DRAWS,
  HIDDEN,
  SMALL_AND_LARGE,
];

type Change = { readonly [Field in keyof LossEvaluation]?: unknown } & Record<string, unknown>;

const signal = (change: object, base: Partial<LossEvaluation> = GOOD): Change => ({
  ...base,
  signal: { ...base.signal, ...change },
});
const list = (change: object) => signal(change, LISTED);

/** What is changed of a good evaluation, the field that is named, and what is said. */
const BAD: readonly (readonly [change: Change, field: string, message: RegExp])[] = [
  // the loss and its options
  [{ loss: "forwardkl" }, "loss", /no loss "forwardkl"; did you mean forward-kl\?/],
  [{ loss: "nonsense" }, "loss", /the names are cross-entropy, forward-kl/],
  [{ loss: undefined }, "loss", /no loss "undefined"/],
  [{ options: { topk: 2 } }, "options", /topk.*its options are topK/s],
  [{ options: { topK: "many" } }, "options", /options.*expected number.*topK/s],
  [{ options: { weight: 2 } }, "options.weight", /a weight belongs to a run/],
  [{ options: { teacher: 5 } }, "options", /teacher/],
  [
    { options: { topK: 64 } },
    "options.topK",
    /a list of 64 ids exceeds the vocabulary of 3; set topK/,
  ],
  [{ options: {} }, "options.topK", /a list of 64 ids exceeds the vocabulary of 3/],
  [{ weight: [1, 2] }, "weight", /no field of an evaluation; did you mean weights\?/],
  // numbers of the evaluation
  [{ engine: "cuda" }, "engine", /is "cuda"; give "onnx" or "reference"/],
  [{ progress: NaN }, "progress", /is NaN; give the done fraction of a run, 0 to 1/],
  [{ progress: 1.5 }, "progress", /is 1.5/],
  [{ vocabulary: 2.5 }, "vocabulary", /is 2.5/],
  [{ vocabulary: 4 }, "studentLogits", /has 6 numbers, 2 positions × 4 ids need 8/],
  [{ studentLogits: [1, 2, 3, 0, 0, 0] }, "studentLogits", /of type Array; give a Float32Array or/],
  [{ studentLogits: undefined }, "studentLogits", /is undefined/],
  [
    { studentLogits: Float32Array.of(1, 2, 3, 0, NaN, 0) },
    "studentLogits",
    /has NaN at index 4; give finite numbers/,
  ],
  [{ targets: new Uint32Array(0) }, "targets", /is empty/],
  [{ targets: Uint32Array.of(2, 3) }, "targets", /has 3 at index 1; give token ids below 3/],
  [{ targets: [2, 0] }, "targets", /of type Array; give a Uint32Array/],
  [{ weights: [1] }, "weights", /has 1 numbers, 2 positions need 2/],
  [{ weights: [1, NaN] }, "weights", /has NaN at index 1; give finite numbers of at least 0/],
  [{ weights: [1, -1] }, "weights", /has -1 at index 1/],
  [{ byStudent: [1] }, "byStudent", /has 1 numbers/],
  [{ byStudent: [1, 2] }, "byStudent", /has 2 at index 1; give 0 or 1/],
  [{ oldLogProbs: Float32Array.of(-1, 2) }, "oldLogProbs", /has 2 at index 1; give logarithms/],
  [{ oldLogProbs: Float32Array.of(-1) }, "oldLogProbs", /has 1 numbers/],
  [
    { loss: "minillm", options: { dense: true } },
    "oldLogProbs",
    /missing; minillm reads log q of each token/,
  ],
  [{ parameters: { theta: [1] } }, "parameters", /theta.*owns none/],
  [
    { loss: "ctkd", options: {}, parameters: { theta: [NaN] } },
    "parameters.theta",
    /has NaN at index 0/,
  ],
  [{ sequences: [{ length: 3 }] }, "sequences", /have 3 positions, targets 2/],
  [{ sequences: [{ length: 0 }, { length: 2 }] }, "sequences[0].length", /is 0/],
  [{ sequences: [{ length: 2, row: -1 }] }, "sequences[0].row", /is -1/],
  // the signal
  [signal({ count: 3 }), "signal.count", /is 3, targets has 2 positions/],
  [signal({ topK: -1 }), "signal.topK", /is -1/],
  [
    signal({ dense: dense.subarray(4) }),
    "signal.dense",
    /has 2 numbers, 2 positions × 3 ids need 6/,
  ],
  [signal({ dense: [...dense] }), "signal.dense", /of type Array; give a Float32Array/],
  [
    signal({ dense: dense.with(1, NaN) }),
    "signal.dense",
    /has NaN at index 1; give finite numbers or/,
  ],
  [signal({ dense: dense.with(1, Infinity) }), "signal.dense", /has Infinity at index 1/],
  [
    signal({ dense: dense.map((u, at) => (at < 3 ? u : -Infinity)) }),
    "signal.dense",
    /no finite logit at position 1/,
  ],
  [
    list({ topIds: Uint32Array.of(0, 1, 3, 0) }),
    "signal.topIds",
    /has 3 at index 2; give ids below 3/,
  ],
  [list({ topIds: Uint32Array.of(0, 1, 1, 1) }), "signal.topIds", /has id 1 twice at position 1/],
  [list({ topIds: Uint32Array.of(0, 1) }), "signal.topIds", /2 elements for 2 lists of 4/],
  [
    list({ topLogits: Float32Array.of(0, 1, 1, 0) }),
    "signal.topLogits",
    /1 behind 0 at position 0/,
  ],
  [list({ topLogits: Float32Array.of(1, NaN, 1, 0) }), "signal.topLogits", /has NaN at index 1/],
  [list({ lse: Float32Array.of(1) }), "signal.lse", /1 elements for 2 rows/],
  [list({ lse: Float32Array.of(1, -Infinity) }), "signal.lse", /has -Infinity at index 1/],
  [list({ logTail: Float32Array.of(-1, -1, -1) }), "signal.logTail", /3 elements for 2 rows/],
  [
    list({ logTail: Float32Array.of(-1, 1) }),
    "signal.logTail",
    /has 1 at index 1; give logarithms/,
  ],
  [list({ topOffsets: Uint32Array.of(0, 2, 3) }), "signal.topIds", /4 elements/],
  [
    list({ topOffsets: Uint32Array.of(1, 2, 4) }),
    "signal.topOffsets",
    /offsets of other than 2 lists/,
  ],
  [list({ logProbs: true }), "signal.topLogits", /give logarithms of probabilities, at most 0/],
  [list({ tauCount: 1, taus: Float32Array.of(1) }), "signal.taus", /1 elements for 2 rows/],
  [list({ tauCount: 1, taus: Float32Array.of(1, 0) }), "signal.taus", /has 0 at index 1/],
  [list({ tauCount: 1, lseAt: Float32Array.of(1, NaN) }), "signal.lseAt", /has NaN at index 1/],
  [
    list({ tauCount: 1, logTailAt: Float32Array.of(0.5, -1) }),
    "signal.logTailAt",
    /has 0.5 at index 0/,
  ],
  [signal({ tokenLogit: Float32Array.of(NaN, 0) }), "signal.tokenLogit", /has NaN/],
  [signal({ rank: Uint32Array.of(0, 3) }), "signal.rank", /has 3 at index 1; give ranks below 3/],
  [signal({ entropy: Float32Array.of(-1, 0) }), "signal.entropy", /has -1/],
  [signal({ maxLogit: Float32Array.of(-Infinity, 0) }), "signal.maxLogit", /has -Infinity/],
  [signal({ meanLogit: Float32Array.of(0) }), "signal.meanLogit", /1 elements/],
  [signal({ atOffsets: Uint32Array.of(0, 2, 1) }, AT), "signal.atOffsets", /do not rise/],
  [
    signal({ atLogits: Float32Array.of(0) }, AT),
    "signal.at",
    /1 values where the offsets end at 2/,
  ],
  [signal({ atLogits: Float32Array.of(1, 2) }, AT), "signal.atLogits", /has 1 at index 0/],
  [{ ...AT, atIds: undefined }, "atIds", /missing; dpkd reads the student's own best ids/],
  [{ ...AT, atIds: Uint32Array.of(0) }, "atIds", /has 1 ids, atLogits 2/],
  [{ ...AT, atIds: Uint32Array.of(0, 3) }, "atIds", /has 3 at index 1; give ids below 3/],
  [signal({ drawIds: Uint32Array.of(0, 3, 1) }, DRAWS), "signal.drawIds", /has 3 at index 1/],
  [signal({ drawIds: Uint32Array.of(2, 2, 1) }, DRAWS), "signal.drawIds", /has id 2 twice/],
  [signal({ drawCounts: Uint32Array.of(2, 0, 3) }, DRAWS), "signal.drawCounts", /has 0 at index 1/],
  [signal({ drawOffsets: Uint32Array.of(0, 3) }, DRAWS), "signal.drawOffsets", /do not rise/],
  [{ ...DRAWS, options: { draws: 1 } }, "signal.drawIds", /2 ids at position 0.*asks for 1 draws/],
  [signal({ drawWeights: Float32Array.of(1, -1, 1) }, DRAWS), "signal.drawWeights", /has -1/],
  // several teachers
  [
    { ...SMALL_AND_LARGE, signals: { small: GOOD.signal, big: GOOD.signal } },
    "signals.big",
    /does not ask; it asks small, large/,
  ],
  [{ signals: { small: GOOD.signal } }, "signals.small", /none by name, so give signal/],
  [
    { ...SMALL_AND_LARGE, signals: { small: GOOD.signal, large: { ...GOOD.signal, count: 1 } } },
    "signals.large.count",
    /is 1, targets has 2/,
  ],
  // hidden states
  [
    { ...HIDDEN, studentLayers: {} },
    "studentLayers[1]",
    /missing; hidden-states compares it: give 2 positions × width 2/,
  ],
  [
    { ...HIDDEN, studentLayers: { 1: Float32Array.of(1, 2, 3) } },
    "studentLayers[1]",
    /has 3 numbers, 2 positions × width 2 \(sizes.student\) need 4/,
  ],
  [
    { ...HIDDEN, studentLayers: { 1: Float32Array.of(1, 2, 3, NaN) } },
    "studentLayers[1]",
    /has NaN at index 3/,
  ],
  [
    signal({ hidden: new Map([[2, dense.subarray(2)]]) }, HIDDEN),
    "signal.hidden layer 2",
    /has 4 numbers, 2 positions × width 3 \(sizes.teacher\) need 6/,
  ],
  [signal({ hidden: { 2: dense } }, HIDDEN), "signal.hidden", /no Map/],
  [
    { ...HIDDEN, sizes: { student: { layers: 1, width: 0 }, teacher: { layers: 2, width: 3 } } },
    "sizes.student.width",
    /is 0; give a whole number above 0/,
  ],
];

for (const engine of ["onnx", "reference"] as const) {
  describe(`an evaluation on ${engine}`, () => {
    it("is taken where everything is right", async () => {
      for (const good of GOOD_ONES) {
        const { value } = await evaluateLoss({ ...GOOD, ...good, engine });
        assert.ok(Number.isFinite(value) && value > 0, `${good.loss}`);
      }
    });

    for (const [change, field, message] of BAD) {
      it(`is refused for its ${field}: ${message.source}`, async () => {
        const given = { ...GOOD, engine, ...change } as LossEvaluation;
        await assert.rejects(evaluateLoss(given), (error) => {
          assert.ok(error instanceof TandemError, String(error));
          assert.equal(error.code, "INVALID_ARGUMENT", error.message);
          assert.match(error.message, message);
          assert.equal(error.field, field);
          return true;
        });
      });
    }
  });
}
