import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { runTrainer, startTrainer } from "../../helpers/rollout-cli.js";
import { makeRolloutPair, type RolloutPair } from "../../helpers/rollout-pair.js";

/** Nothing listens there: the discard port needs privileges nobody gave. */
const DEAD = "127.0.0.1:9";

describe("student-trainer", () => {
  let pair: RolloutPair;
  let server: LiveServer;

  before(async () => {
    pair = await makeRolloutPair();
    server = await startLiveServer({ model: pair.teacherDir });
  });
  after(async () => {
    await server?.stop();
    await pair?.remove();
  });

  const sets = (name: string, ...more: string[]): string[] =>
    [
      `student.model=${pair.studentDir}`,
      `data.train=${pair.dataFile}`,
      "rollout={kind: supervised, rows: 8, maxResponse: 14}",
      "losses=[{name: cross-entropy}]",
      "training={steps: 3, minibatchSize: 8, threads: 1}",
      `output.dir=${join(pair.dir, name)}`,
      ...more,
    ].flatMap((assignment) => ["--set", assignment]);

  const skd = () => [
    `teacher.address=${server.grpcAddress}`,
    "rollout={kind: skd, rows: 8, maxResponse: 14, acceptance: {rank: 3}}",
    "losses=[{name: forward-kl, topK: 6}]",
  ];

  it("explains itself, with examples", async () => {
    for (const command of ["", "train", "score"]) {
      const { code, stdout } = await runTrainer(...(command === "" ? [] : [command]), "--help");
      assert.equal(code, 0);
      assert.match(stdout, /student-trainer .*\n/);
      assert.match(stdout, /Example|first run/);
    }
  });

  it("exits with 2 on a flag it does not know", async () => {
    const { code, stderr } = await runTrainer("train", "--confog", "x");
    assert.equal(code, 2);
    assert.match(stderr, /unknown option '--confog'/);
  });

  it("exits with 2 on an option it does not know, and says what is near", async () => {
    const { code, stderr } = await runTrainer("train", ...sets("a", "training.sedd=1"));
    assert.equal(code, 2);
    assert.match(stderr, /training\.sedd.*did you mean training\.seed/);
  });

  it("exits with 2 on a combination that cannot work, before any work", async () => {
    const { code, stderr } = await runTrainer("train", ...sets("a", "rollout.kind=skd"));
    assert.equal(code, 2);
    assert.match(
      stderr,
      /no teacher\.address is given, but rollout\.kind skd writes with a teacher/,
    );
  });

  it("exits with 1 on a malformed line, and names file and line", async () => {
    const file = join(pair.dir, "broken.jsonl");
    await writeFile(file, '{"prompt":"1","answer":"2"}\n{"prompt":\n');
    const { code, stderr } = await runTrainer("train", ...sets("a", `data.train=${file}`));
    assert.equal(code, 1);
    assert.match(stderr, /broken\.jsonl:2: not a JSON line/);
  });

  it("retries a teacher that cannot be reached, then exits with 1 and says where it looked", async () => {
    const { code, stderr } = await runTrainer(
      "train",
      ...sets("a", ...skd(), `teacher.address=${DEAD}`, "teacher.retryTimeoutMs=700"),
    );
    assert.equal(code, 1);
    assert.match(stderr, /waiting for the teacher at 127\.0\.0\.1:9/);
    assert.match(stderr, /no teacher at 127\.0\.0\.1:9 within 700 ms/);
  });

  it("refuses a teacher with another tokenizer before the first step", async () => {
    const other = join(pair.dir, "other");
    const init = ["--from", pair.teacherDir, "--layers", "0", "--out", other];
    assert.equal((await runTrainer("init", ...init)).code, 0);
    const path = join(other, "tokenizer.json");
    const tokenizer = (await readFile(path, "utf8")).replaceAll('"*"', '"x"');
    await writeFile(path, tokenizer);
    const { code, stderr } = await runTrainer(
      "train",
      ...sets("b", ...skd(), `student.model=${other}`, "data.prompt=answer"),
    );
    assert.equal(code, 1);
    assert.match(stderr, /do not share a tokenizer/);
  });

  it("trains on given answers without a teacher and leaves a whole run directory", async () => {
    const { code, stdout, stderr } = await runTrainer("train", ...sets("plain"));
    assert.equal(code, 0, stderr);
    assert.match(stderr, /step 3\/3 loss \d/);
    assert.match(stdout, /done: .*step-000003/);
    const files = await readdir(join(pair.dir, "plain"));
    for (const file of [
      "checkpoints",
      "config.resolved.yaml",
      "metrics.jsonl",
      "rollouts.jsonl",
      "summary.json",
      "report.html",
    ]) {
      assert.ok(files.includes(file), file);
    }
    const again = await runTrainer("train", ...sets("plain"));
    assert.equal(again.code, 1);
    assert.match(again.stderr, /holds a run already; go on with --resume/);
  });

  it("makes no student over its teacher, nor one that could not be trained", async () => {
    const weights = () => readFile(join(pair.teacherDir, "model.safetensors"));
    const before = await weights();
    const damaged = join(pair.dir, "damaged.json");
    await writeFile(damaged, '{"vocab_size":');
    const small = join(pair.dir, "small.json");
    const config = JSON.parse(
      await readFile(join(pair.teacherDir, "config.json"), "utf8"),
    ) as object;
    await writeFile(small, JSON.stringify({ ...config, vocab_size: 4 }));
    const nowhere = join(pair.dir, "no-tokenizer");
    await mkdir(nowhere);
    const teacher = pair.teacherDir;
    for (const [args, message] of [
      [["init", "--from", teacher, "--layers", "0", "--out", teacher], /--out .* made from/],
      [["export", "--model", teacher, "--out", `${teacher}/.`], /--out .* made from/],
      [["init", "--model-config", damaged, "--tokenizer", teacher], /damaged\.json is not JSON/],
      [
        ["init", "--model-config", "none.json", "--tokenizer", teacher],
        /none\.json does not exist/,
      ],
      [["init", "--model-config", small, "--tokenizer", teacher], /tokenizer has \d+ ids.* 4 rows/],
      [["init", "--model-config", small, "--tokenizer", nowhere], /tokenizer\.json/],
    ] as const) {
      const out = args.includes("--out" as never) ? [] : ["--out", join(pair.dir, "unmade")];
      const { code, stderr } = await runTrainer(...args, ...out);
      assert.equal(code, 1, stderr);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /\n +at /, "no stack");
    }
    assert.ok((await weights()).equals(before));
    assert.ok(!(await readdir(pair.dir)).includes("unmade"));
  });

  it("says when no id ends a text", async () => {
    const { code, stderr } = await runTrainer("train", ...sets("endless", "rollout.stopIds=[]"));
    assert.equal(code, 0, stderr);
    assert.match(stderr, /nothing ends a text: each runs to rollout\.maxResponse/);
  });

  it("reads its own resolved configuration back", async () => {
    const file = join(pair.dir, "plain", "config.resolved.yaml");
    const out = join(pair.dir, "again");
    const { code, stderr } = await runTrainer(
      "train",
      "--config",
      file,
      "--set",
      `output.dir=${out}`,
    );
    assert.equal(code, 0, stderr);
    const resolved = await readFile(join(out, "config.resolved.yaml"), "utf8");
    assert.equal(
      resolved.replace(out, ""),
      (await readFile(file, "utf8")).replace(join(pair.dir, "plain"), ""),
    );
  });

  it("saves a checkpoint when it is interrupted, exits with 130, and goes on from there", async () => {
    const args = ["train", ...sets("interrupted", ...skd(), "training.steps=400")];
    const run = startTrainer(args);
    await run.seen(/step 10\//);
    run.process.kill("SIGINT");
    const { code, stdout } = await run.done;
    assert.equal(code, 130);
    assert.match(stdout, /interrupted; go on with --resume: .*step-0000/);
    const resumed = startTrainer([...args, "--resume"]);
    await resumed.seen(/step [2-9]0\//);
    resumed.process.kill("SIGINT");
    assert.equal((await resumed.done).code, 130);
    const path = join(pair.dir, "interrupted", "teacher.json");
    const other = (await readFile(path, "utf8")).replace(
      /"weightsDigest": "[^"]+"/,
      '"weightsDigest": "x"',
    );
    await writeFile(path, other);
    const refused = await runTrainer(...args, "--resume");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /began with teacher .* \(x\), the one at teacher\.address is/);
  });

  it("does not go on under another configuration, names what differs, and leaves the run as it was", async () => {
    const file = join(pair.dir, "plain", "config.resolved.yaml");
    const before = await readFile(file, "utf8");
    const changed = ["optimizer.learningRate=0.5", "training.seed=9", "training.keepCheckpoints=9"];
    const refused = await runTrainer("train", ...sets("plain", ...changed), "--resume");
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /another configuration: optimizer\.learningRate is 0\.5, was 0\.0005, training\.seed is 9, was 0; resume with \S+config\.resolved\.yaml/,
    );
    assert.equal(await readFile(file, "utf8"), before);
    const resumed = await runTrainer("train", "--config", file, "--resume");
    assert.equal(resumed.code, 0, resumed.stderr);
    const nothing = await runTrainer("train", ...sets("nothing"), "--resume");
    assert.equal(nothing.code, 1);
    assert.match(nothing.stderr, /there is no checkpoint in .*start without --resume/);
    assert.ok(!(await readdir(pair.dir)).includes("nothing"));
  });

  it("can be interrupted while it waits for its teacher", async () => {
    const run = startTrainer(["train", ...sets("c", ...skd(), `teacher.address=${DEAD}`)]);
    await run.seen(/waiting for the teacher/);
    run.process.kill("SIGINT");
    assert.equal((await run.done).code, 130);
  });

  for (const kind of ["on-policy", "sequence", "mixed", "skd"]) {
    it(`writes ${kind} rollouts as JSON lines`, async () => {
      const out = join(pair.dir, `${kind}.jsonl`);
      const { code, stderr } = await runTrainer(
        "rollout",
        ...sets(
          "r",
          ...skd(),
          `rollout.kind=${kind}`,
          "losses=[{name: generalized-jsd, beta: 0.5, topK: 6}]",
        ),
        "--out",
        out,
        "--batches",
        "2",
      );
      assert.equal(code, 0, stderr);
      const lines = (await readFile(out, "utf8")).trim().split("\n");
      assert.equal(lines.length, 16);
      for (const line of lines) {
        const record = JSON.parse(line) as Record<string, unknown[]>;
        assert.equal(record.tokens?.length, record.pieces?.length);
        assert.equal(record.tokens?.length, record.authors?.length);
        assert.equal(record.tokens?.length, record.ranks?.length);
        assert.ok(
          record.ranks?.every((rank) => Number.isInteger(rank)),
          line,
        );
        assert.equal(record.tokens?.length, record.teacherTop?.length);
      }
    });
  }

  it("shows what the teacher thinks of a text", async () => {
    const where = ["--teacher", server.grpcAddress, "--tokenizer", pair.studentDir];
    const table = await runTrainer("score", ...where, "--prompt", "12*3=", "36", "--top-k", "2");
    assert.equal(table.code, 0, table.stderr);
    const lines = table.stdout.trim().split("\n");
    assert.match(lines[0] ?? "", /^pos +token +id +rank +log p +entropy +top 2$/);
    assert.equal(lines.length, 3);
    const json = await runTrainer("score", ...where, "--json", "12*3=36");
    const records = json.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { rank: number });
    assert.equal(records.length, 6, "the first token has no law in front of it");
    assert.ok(records.every(({ rank }) => Number.isInteger(rank)));
    const nothing = await runTrainer("score", ...where, "1");
    assert.equal(nothing.code, 2);
    const nowhere = await runTrainer("score", "--teacher", "foo", ...where.slice(2), "12*3=36");
    assert.equal(nowhere.code, 2);
    assert.match(nowhere.stderr, /teacher address "foo" is none of host:port/);
  });

  it("evaluates, generates and exports what it trained", async () => {
    const config = [
      "--config",
      join(pair.dir, "plain", "config.resolved.yaml"),
      "--set",
      `data.evaluation=${pair.dataFile}`,
    ];
    const answers = join(pair.dir, "answers.jsonl");
    const evaluated = await runTrainer(
      "evaluate",
      ...config,
      "--set",
      "evaluation={rows: 5, teacherRows: 3}",
      "--set",
      `teacher.address=${server.grpcAddress}`,
      "--out",
      answers,
    );
    assert.equal(evaluated.code, 0, evaluated.stderr);
    const measures = JSON.parse(evaluated.stdout) as Record<string, number>;
    assert.equal(measures.count, 5);
    assert.ok((measures.teacherKl ?? NaN) > 0);
    assert.equal((await readFile(answers, "utf8")).trim().split("\n").length, 5);
    // No teacher is asked, so none need be named, whatever the training would want.
    const alone = await runTrainer(
      "evaluate",
      ...sets(
        "plain",
        "rollout={kind: skd, maxResponse: 14}",
        "losses=[{name: forward-kl}]",
        `data.evaluation=${pair.dataFile}`,
        "evaluation.rows=2",
      ),
    );
    assert.equal(alone.code, 0, alone.stderr);
    assert.equal((JSON.parse(alone.stdout) as Record<string, number>).count, 2);
    const model = join(pair.dir, "plain", "checkpoints", "step-000003");
    const generated = await runTrainer(
      "generate",
      "--model",
      model,
      "--max-tokens",
      "4",
      "1*1=",
      "2",
    );
    assert.equal(generated.code, 0, generated.stderr);
    assert.equal(generated.stdout.split("\n").length, 3);
    // Without --max-tokens: 128 at most, and the pair's context is shorter.
    const unbounded = await runTrainer("generate", "--model", model, "1*1=");
    assert.equal(unbounded.code, 0, unbounded.stderr);
    const tooLong = await runTrainer("generate", "--model", model, "1".repeat(200));
    assert.equal(tooLong.code, 1);
    const empty = await runTrainer("generate", "--model", model, "1*1=", "");
    assert.match(empty.stderr, /prompt 2 is empty/);
    assert.match(tooLong.stderr, /prompt 1 has 200 tokens, the model holds \d+: no room/);
    const out = join(pair.dir, "exported");
    assert.equal(
      (await runTrainer("export", "--model", model, "--out", out, "--dtype", "f16")).code,
      0,
    );
    const files = await readdir(out);
    assert.ok(files.includes("model.safetensors") && files.includes("tokenizer.json"));
  });
});
