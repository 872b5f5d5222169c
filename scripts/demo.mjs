// `npm run demo`: a real teacher-server with the teacher in examples/demo/teacher, a student made of three of its six layers, SKD over loopback.
// Everything it makes lies in runs/demo. The steps are commands that anybody can type; examples/demo/README.md has them.
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";

import { writeData } from "../examples/demo/make-data.mjs";
import { endAll, guardProcesses, Interrupted, runNode, startNode } from "./demo/processes.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const RUN = "runs/demo";
const TEACHER = "examples/demo/teacher";
const STUDENT_LAYERS = "0,2,4";
const HELD_OUT = 500;
/** training.numIterations of examples/demo/skd.yaml. */
const PASSES = 3;
const TEACHER_SERVER = "teacher-server/bin/teacher-server.mjs";
const TEACHER_FLAGS = `--model ${TEACHER} --served-model-name demo-teacher --port 0 --http-port 0 --log-level warn`;
const STUDENT_TRAINER = "student-trainer/bin/student-trainer.mjs";

const began = performance.now();

async function demo() {
  say("Data: four digits × one digit, with the steps written out");
  rmSync(RUN, { recursive: true, force: true });
  const data = { directory: join(RUN, "data"), heldOutCount: HELD_OUT, validationCount: HELD_OUT };
  writeData(data);

  say("Teacher: teacher-server, 6 layers, 1.2 million parameters");
  const [, address] = await startNode(
    [TEACHER_SERVER, ...TEACHER_FLAGS.split(" ")],
    /^teacher ready grpc=(\S+)/,
  );

  say(`Student: the teacher's layers ${STUDENT_LAYERS}, embedding and final norm`);
  const initial = join(RUN, "initial");
  await runNode([
    STUDENT_TRAINER,
    "init",
    "--from",
    TEACHER,
    "--layers",
    STUDENT_LAYERS,
    "--out",
    initial,
  ]);

  say("Distillation: both write together, the student learns (one to three minutes)");
  const config = ["--config", "examples/demo/skd.yaml", "--set", `teacher.address=${address}`];
  await runNode([STUDENT_TRAINER, "train", ...config]);
  await endAll();
  return finish();
}

/** Adds the demo's own figures to the run's summary, writes the report again with them, and prints the result. */
async function finish() {
  const path = join(RUN, "summary.json");
  const run = JSON.parse(readFileSync(path, "utf8"));
  const seconds = (performance.now() - began) / 1000;
  const summary = {
    ...run,
    seconds,
    teacher: TEACHER,
    studentLayers: STUDENT_LAYERS,
    heldOutProblems: HELD_OUT,
    // Every sequence that was written is trained on several times.
    tokensWrittenPerSecond: run.tokens / PASSES / run.rolloutSeconds,
  };
  writeFileSync(`${path}.tmp`, `${JSON.stringify(summary, undefined, 2)}\n`);
  renameSync(`${path}.tmp`, path);
  await runNode([STUDENT_TRAINER, "report", RUN]);
  const { accuracyBefore, accuracyAfter, acceptanceFirst, acceptanceLast } = summary;
  console.log(`
  accuracy    ${percent(accuracyBefore)} → ${percent(accuracyAfter)}   on ${HELD_OUT} problems never trained on, every step of the answer right
  acceptance  ${percent(acceptanceFirst)} → ${percent(acceptanceLast)}   of the student's drafts, first and last batch
  speed       ${count(summary.tokensWrittenPerSecond)} tokens/s written together, ${count(summary.tokensPerSecond)} trained on
  time        ${Math.round(seconds)} s
  run         ${RUN}; open ${join(RUN, "report.html")} in a browser
`);
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`.padStart(7);
}

function count(value) {
  return Math.round(value).toLocaleString("en-US");
}

function say(text) {
  console.log(`\n── ${text}`);
}

process.chdir(ROOT);
guardProcesses();
try {
  await demo();
} catch (error) {
  if (!(error instanceof Interrupted)) console.error(`\ndemo failed: ${error.message}`);
  process.exitCode = error instanceof Interrupted ? 130 : 1;
} finally {
  await endAll();
}
