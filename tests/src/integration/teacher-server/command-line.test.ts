import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { parse } from "yaml";
import { fixtureModel, runTeacherServer, startLiveServer } from "../../helpers/live-server.js";

const folder = mkdtempSync(join(tmpdir(), "tandem-server-"));
after(() => rmSync(folder, { recursive: true }));

const tiny = fixtureModel("llama-tied");

/** A copy of the tiny model that the test may spoil. */
function spoiledModel(name: string, spoil: (dir: string) => void): string {
  const dir = join(folder, name);
  cpSync(tiny, dir, { recursive: true });
  spoil(dir);
  return dir;
}

function rewriteConfig(dir: string, change: Readonly<Record<string, unknown>>): void {
  const file = join(dir, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...config, ...change }));
}

describe("teacher-server on the command line", { timeout: 180_000 }, () => {
  it("prints help with examples and exits 0", async () => {
    const { code, stdout } = await runTeacherServer(["--help"]);
    assert.equal(code, 0);
    for (const wanted of ["--max-num-batched-tokens", "Examples:", "TANDEM_MODEL", "Exit codes"])
      assert.ok(stdout.includes(wanted), wanted);
  });

  const misuses: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      "an unknown flag",
      ["--model", tiny, "--max-modle-len", "5"],
      /unknown option '--max-modle-len'[^]*--max-model-len/,
    ],
    ["no model", [], /model/],
    ["a number that is none", ["--model", tiny, "--port", "many"], /--port.*a number is needed/],
    ["a port that cannot be", ["--model", tiny, "--port", "70000"], /port is 70000: .*65535/],
    ["a log format that is not there", ["--model", tiny, "--log-format", "xml"], /text, json/],
    ["a missing configuration file", ["--config", join(folder, "none.yaml")], /none\.yaml/],
    ["an argument nobody asked for", ["serve", "--model", tiny], /too many arguments/],
  ];
  for (const [what, args, message] of misuses) {
    it(`exits 2 for ${what} and says so`, async () => {
      const { code, stdout, stderr } = await runTeacherServer(args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.equal(stdout, "");
    });
  }

  it("refuses an unknown key of the configuration file, naming the nearest", async () => {
    const file = join(folder, "wrong.yaml");
    writeFileSync(file, `model: ${tiny}\nmax-num-sequences: 3\n`);
    const { code, stderr } = await runTeacherServer(["--config", file]);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /unknown option max-num-sequences in .*wrong\.yaml; did you mean max(Num|S)/,
    );
  });

  it("prints the configuration that file, environment and flags make together", async () => {
    const file = join(folder, "good.yaml");
    writeFileSync(file, `model: ${tiny}\nmax-num-seqs: 3\nmax_logprobs: 4\nthreads: 1\n`);
    const { code, stdout } = await runTeacherServer(
      ["--config", file, "--threads", "7", "--print-config"],
      { TANDEM_MAX_LOGPROBS: "5" },
    );
    assert.equal(code, 0);
    const { maxNumSeqs, maxLogprobs, threads, host } = parse(stdout) as Record<string, unknown>;
    assert.deepEqual(
      { maxNumSeqs, maxLogprobs, threads, host },
      { maxNumSeqs: 3, maxLogprobs: 5, threads: 7, host: "127.0.0.1" },
    );
  });

  it("finds its configuration file through the environment as well", async () => {
    const file = join(folder, "by-environment.yaml");
    writeFileSync(file, `model: ${tiny}\nmax-num-seqs: 9\n`);
    const { code, stdout } = await runTeacherServer(["--print-config"], { TANDEM_CONFIG: file });
    assert.equal(code, 0);
    assert.equal((parse(stdout) as { maxNumSeqs: number }).maxNumSeqs, 9);
  });

  const failures: readonly (readonly [string, () => readonly string[], RegExp])[] = [
    [
      "a model that is not there",
      () => ["--model", join(folder, "nothing")],
      /NOT_FOUND: .*nothing/,
    ],
    [
      "missing weights",
      () => [
        "--model",
        spoiledModel("no-weights", (dir) => rmSync(join(dir, "model.safetensors"))),
      ],
      /NOT_FOUND: .*safetensors/,
    ],
    [
      "truncated weights",
      () => [
        "--model",
        spoiledModel("short", (dir) => truncateSync(join(dir, "model.safetensors"), 9000)),
      ],
      /DATA_LOSS: .*model\.safetensors/,
    ],
    [
      "an architecture it does not know",
      () => [
        "--model",
        spoiledModel("bert", (dir) =>
          rewriteConfig(dir, { model_type: "bert", architectures: ["BertModel"] }),
        ),
      ],
      /UNIMPLEMENTED: .*bert/i,
    ],
    [
      "a context longer than the model's",
      () => ["--model", tiny, "--max-model-len", "4096"],
      /max-model-len 4096 exceeds .*128/,
    ],
  ];
  for (const [what, args, message] of failures) {
    it(`exits 1 for ${what} and says so`, async () => {
      const { code, stdout, stderr } = await runTeacherServer([
        ...args(),
        "--port",
        "0",
        "--http-port",
        "0",
      ]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, message);
      assert.equal(stdout, "");
    });
  }

  it("exits 1 when its port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    const { code, stderr } = await runTeacherServer([
      "--model",
      tiny,
      "--port",
      String(port),
      "--http-port",
      "0",
    ]);
    taken.close();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}`));
  });

  it("says where it is, answers, and exits 0 on SIGTERM and 130 on SIGINT", async () => {
    const server = await startLiveServer({
      model: tiny,
      args: ["--served-model-name", "small teacher"],
    });
    assert.match(server.grpcAddress, /^127\.0\.0\.1:[1-9]\d*$/);
    const description = await new Promise<{ model: string }>((resolve, reject) =>
      server.client.describe({}, (error, value) =>
        error === null && value !== undefined ? resolve(value) : reject(error),
      ),
    );
    assert.equal(description.model, "small teacher");
    assert.equal(await server.stop(), 0);

    const other = await startLiveServer({ model: tiny, env: { TANDEM_LOG_LEVEL: "debug" } });
    other.process.kill("SIGINT");
    assert.equal(await other.exited, 130);
  });
});
