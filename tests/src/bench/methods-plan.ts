import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readConfigChain } from "@tandem/shared/config/read-config-chain.js";
import { configDigest } from "@tandem/shared/config/print-config.js";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { plainBytes } from "@tandem/student-trainer/evaluate-loss/describe-requirement.js";
import { LossSet, type LossesConfig } from "@tandem/student-trainer/losses/loss-set.js";
import type { RunSizes } from "@tandem/student-trainer/losses/model-sizes.js";

/** The configurations that `npm run bench -- methods` measures. */
export const EXAMPLES = fileURLToPath(new URL("../../../examples/methods", import.meta.url));
const BASE = "base";
/** Of the demo's models. */
const SIZES: RunSizes = {
  vocabulary: 18,
  student: { layers: 3, width: 128 },
  teacher: { layers: 6, width: 128 },
};

/** What the project is about, with variants that the papers ask for. */
export const FIVE: readonly string[] = [
  "skd",
  "dtkd",
  "rlkd",
  "continuation-kd",
  "continuation-kd-half",
  "kd-nas",
];

/** The baselines of SKD's authors, GKD and DistiLLM. */
export const BASELINES: readonly string[] = [
  "sft",
  "supervised-kd",
  "sequence-kd",
  "on-policy",
  "imit-kd",
  "two-stage",
  "mixed-skd",
  "gkd",
  "distillm",
];

/** Measured with several seeds; all others with one. */
export const SEVERAL_SEEDS: readonly string[] = [...FIVE, ...BASELINES];

/** Whose value means something else in every step, so that its fall says nothing: there only the distance to the teacher must fall. */
export const SHIFTING: Readonly<Record<string, string>> = {
  "continuation-kd": "its target grows with φ",
  "continuation-kd-half": "its target grows with φ",
  "adakd-controlled": "it is of ever harder positions",
  ctkd: "θ makes it larger",
  "ctkd-instance": "its network makes it larger",
  "on-policy-distillation": "an estimate of a policy gradient",
  "on-policy-distillation-lagged": "an estimate of a policy gradient",
  minillm: "an estimate of a policy gradient",
  "minillm-plain-text": "an estimate of a policy gradient",
};

const OF_DRAFTS = ["acceptance", "acceptanceAt", "teacherShare", "teacherShareAt"] as const;
const OF_CONSISTENCY = [
  "consistencyAt1",
  "consistencyAt2",
  "consistencyAt3",
  "consistencyAt5",
  "overlapAt3",
  "overlapAt5",
  "overlapAt10",
] as const;
const OF_DTKD = ["dtkd.teacherTemperature", "dtkd.studentTemperature"] as const;
const OF_ADAKD = ["adakd.kept", "adakd.temperature"] as const;

/** What metrics.jsonl must say of each step beside the values of the losses and, where drafts are judged, their acceptance. */
const STEP_METRICS: Readonly<Record<string, readonly string[]>> = {
  adakd: OF_ADAKD,
  "adakd-controlled": OF_ADAKD,
  "ces-kd": ["ces-kd.teacher"],
  ctkd: ["ctkd.temperature"],
  "ctkd-instance": ["ctkd.temperature"],
  dtkd: OF_DTKD,
  "dtkd-list": OF_DTKD,
  "dtkd-released": OF_DTKD,
  "dtkd-solved": OF_DTKD,
  itkd: ["itkd.temperature"],
  "minillm-plain-text": ["plain-text", "plain-text-kl"],
  speckd: ["speckd.accepted"],
  swing: ["swing.private"],
};

/** The same of each evaluation during the run. */
const EVALUATION_METRICS: Readonly<Record<string, readonly string[]>> = {
  distillm: ["answerLoss", "adaptiveThreshold"],
  rlkd: OF_CONSISTENCY,
  "rlkd-dynamic": OF_CONSISTENCY,
};

export interface MethodConfig {
  /** Name of the file. */
  readonly name: string;
  readonly file: string;
  /** Who writes the text: `rollout.kind`. */
  readonly text: string;
  /** The names of its teachers; none: the one of `teacher:`. */
  readonly teachers: readonly string[];
  /** What metrics.jsonl must say of each step, the losses included, and of each evaluation. */
  readonly stepMetrics: readonly string[];
  readonly evaluationMetrics: readonly string[];
  /** Of a position's signal in PLAIN, by its specification: two logits of the same id for two losses travel once. */
  readonly plainBytes: number;
  /** What is trained on which text: over the file and what it extends, without what only looks on (evaluation, output). */
  readonly digest: string;
}

/** All methods that have a configuration, by name. */
export function listMethods(): readonly MethodConfig[] {
  const files = readdirSync(EXAMPLES)
    .filter((file) => file.endsWith(".yaml"))
    .sort();
  return files
    .map((file) => basename(file, ".yaml"))
    .filter((name) => name !== BASE)
    .map((name) => {
      const file = join(EXAMPLES, `${name}.yaml`);
      const config = loadRunConfig({ file, assignments: ["teacher.address=any:0"] });
      return {
        name,
        file,
        text: config.rollout.kind,
        teachers: Object.keys(config.teachers),
        stepMetrics: [
          ...new LossSet(config.losses).names,
          ...(config.rollout.kind === "skd" ? OF_DRAFTS : []),
          ...(STEP_METRICS[name] ?? []),
        ],
        evaluationMetrics: EVALUATION_METRICS[name] ?? [],
        plainBytes: plainBytesOf(config.losses),
        digest: digestOf(file),
      };
    });
}

/** Of all teachers together. */
function plainBytesOf(losses: LossesConfig): number {
  const { named = {}, ...own } = new LossSet(losses, SIZES).requirement(0);
  return [own, ...Object.values(named)].reduce((sum, { spec, studentTopK }) => {
    const taus = Object.fromEntries(
      spec.taus.map((value, at) => [at, { kind: "constant", value } as const]),
    );
    return sum + plainBytes({ signal: spec, studentTopK, taus }, SIZES.vocabulary, SIZES.teacher);
  }, 0);
}

function digestOf(file: string): string {
  return configDigest(
    readConfigChain(file).map(({ values: { evaluation: _e, output: _o, ...course } }) => course),
  );
}
