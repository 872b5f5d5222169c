import { BASELINES, FIVE, SEVERAL_SEEDS, type MethodConfig } from "./methods-plan.js";
import { intervalOf, type MethodRun } from "./methods-results.js";

const HEAD = `# Every method, trained

Written by \`npm run bench -- methods\`, which runs the real programs on the configurations of [examples/methods](../../examples/methods/README.md); one record for each run
is in [methods.json](methods.json).

**The experiment.** The demo's task (four digits × one digit, every step written out, 18 tokens), its teacher (1.19 M parameters, 100 % right, nearly
deterministic), a student of three of its six layers (0.60 M parameters, 0 % right before). Every run sees 640 sequences of at most 42 tokens, whoever writes them,
each three times in minibatches of 16 (policy gradients and \`dtkd-list\` less often: see their files): 120 steps of AdamW at 2·10⁻³ (the best of 1, 2 and 4·10⁻³ for forward KL on given answers, on validation problems, two
seeds; not tuned for any other method), 10 steps of warm-up, linear decay over the second half, clipped at 1, token mean. The budget is small on purpose: with five times as many sequences all
methods are right nearly always, and nothing is to be seen. The student writes at temperature 1, the teacher at 0.2 / top-p 0.5, losses take both at
temperature 1 unless the method says otherwise, drafts are accepted at rank 2 of the teacher's raw logits. Options are the papers', but the lists: V is 18.
\`ces-kd\` and \`teacher-mixture\` have a second teacher, four layers of the first one that learnt from it as \`supervised-kd\` does: 76 % right.

**The columns.** _Right_: of 500 held-out problems, greedy, every character of the answer; with several seeds the mean and the half-width of Student's 95 % interval
(three seeds: ± 4.3 standard errors, so wide intervals). _KL_, _agrees_: on the student's own greedy text, KL(teacher ‖ student) in nats per token, and the share of its tokens that
are the teacher's best: how a greedy teacher would accept it as a draft. _Accepted_: of drafts, first and last batch. _Tokens_: of all texts, each counted once. _Bytes_: of signal
for each of them, as measured at the server, in \`COMPACT\` with a logit error of at most 0.01, frames and headers included, the same again for text that was scored twice; _PLAIN_:
what they would be there, without headers. Where bytes are missing, the next run of the bench measures them.

**What it shows, and what not.** That the methods train, and what their signals cost. Differences below ten points between single seeds are noise: \`skd\` with
seed 1 gave 47 and 40 % on two builds whose arithmetic differs in the last bits. One task with a teacher this sure of itself
says nothing about which method is best for a language model: the papers' claims are about large ones. What can be read off, with the likely reason:

- \`sft\` and \`sequence-kd\` are the same run: at temperature 0.2 this teacher writes the reference answers.
- Continuation-KD's published φ begins near 0, which asks the student for flat laws first; with 120 steps it does not recover. From ½ it is an ordinary method.
- Reverse KL, and what is built on it (AdaKD makes hard positions colder still), gives little gradient where a student is surely wrong, as this one is at first.
- ATKD gives the half of the positions where the teacher is surest no term for the token itself: for students that already know those.
- \`dtkd-list\` has 40 steps where others have 120: its temperatures are those of the student that a text was scored for, so that it uses each text once.
- Policy gradients from one sample per position need a student that is sometimes right.
- Ranks say nothing of how sure the teacher is: \`ranking\` is made to stand beside a divergence, as in \`rlkd\`.
`;

/** The table, from whatever runs there are. */
export function methodsPage(methods: readonly MethodConfig[], runs: readonly MethodRun[]): string {
  const sections: readonly (readonly [string, (name: string) => boolean])[] = [
    ["The five", (name) => FIVE.includes(name)],
    ["Baselines, GKD, DistiLLM", (name) => BASELINES.includes(name)],
    ["Others", (name) => !SEVERAL_SEEDS.includes(name)],
  ];
  const tables = sections.map(([title, belongs]) => {
    const rows = methods
      .filter(({ name }) => belongs(name))
      .flatMap((method) =>
        rowOf(
          method,
          runs.filter((run) => run.method === method.name),
        ),
      );
    return `## ${title}\n\n${COLUMNS}\n${rows.join("\n")}\n`;
  });
  const missing = methods.filter(({ name }) => !runs.some(({ method }) => method === name));
  const gaps =
    missing.length === 0 ? [] : [`Not run yet: ${missing.map(({ name }) => name).join(", ")}.\n`];
  const faults = runs.filter(({ fault }) => fault !== undefined);
  const problems = faults.map(({ method, seed, fault }) => `- ${method}, seed ${seed}: ${fault}\n`);
  return [
    HEAD,
    ...tables,
    ...gaps,
    ...(faults.length > 0 ? [`## Faults\n\n${problems.join("")}`] : []),
  ].join("\n");
}

const COLUMNS =
  "| method | text | right, % | seeds | KL | agrees, % | accepted, % | tokens | bytes | PLAIN |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

function rowOf(
  { name, text, plainBytes }: MethodConfig,
  runs: readonly MethodRun[],
): readonly string[] {
  if (runs.length === 0) return [];
  const mean = (pick: (run: MethodRun) => number) => intervalOf(runs.map(pick)).mean;
  const { mean: right, half } = intervalOf(runs.map(({ accuracy }) => 100 * accuracy));
  const bytes = runs.flatMap(({ bytesPerPosition }) => bytesPerPosition ?? []);
  const drafted = runs[0]?.acceptanceFirst !== undefined;
  const share = (pick: (run: MethodRun) => number | undefined) =>
    (100 * mean((run) => pick(run) ?? 0)).toFixed(1);
  const cells = [
    `[${name}](../../examples/methods/${name}.yaml)`,
    text,
    right.toFixed(1) + (half === undefined ? "" : ` ± ${half.toFixed(1)}`),
    String(runs.length),
    mean(({ teacherKl }) => teacherKl).toFixed(3),
    share(({ teacherAgreement }) => teacherAgreement),
    drafted
      ? `${share(({ acceptanceFirst }) => acceptanceFirst)} → ${share(({ acceptanceLast }) => acceptanceLast)}`
      : "",
    Math.round(mean(({ tokens }) => tokens)).toLocaleString("en-US"),
    bytes.length === 0 ? "" : intervalOf(bytes).mean.toFixed(0),
    String(plainBytes),
  ];
  return [`| ${cells.join(" | ")} |`];
}
