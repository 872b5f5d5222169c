import assert from "node:assert/strict";
import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline/promises";
import type { Readable, Writable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { PROTO_DIR } from "@tandem/proto/load-teacher-proto.js";
import { startLiveServer } from "../../helpers/live-server.js";
import { TINY_MODELS, tinyModelDir } from "../../helpers/tiny-models.js";

const CLIENT = fileURLToPath(new URL("../../../../examples/python-client", import.meta.url));
const CHECK = fileURLToPath(new URL("../../../../tests/peers/check_client.py", import.meta.url));

/** Set by .ci/run; a missing peer fails rather than skips. */
function fromEnvironment(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set; see .ci/run`);
  return value;
}

/** Stubs from the contract, as the client's README says. */
async function generateStubs(python: string): Promise<void> {
  const generated = join(CLIENT, "generated");
  mkdirSync(generated, { recursive: true });
  const files = ["error", "signal", "teacher"].map((name) =>
    join(PROTO_DIR, `tandem/v1/${name}.proto`),
  );
  const outputs = [`--python_out=${generated}`, `--grpc_python_out=${generated}`];
  await promisify(execFile)(python, [
    "-m",
    "grpc_tools.protoc",
    "-I",
    PROTO_DIR,
    ...outputs,
    ...files,
  ]);
}

describe("a client in Python, made of grpcio and the contract", () => {
  let peer: ChildProcessByStdio<Writable, Readable, null>;
  let answers: Interface;

  before(async () => {
    const python = fromEnvironment("TANDEM_PYTHON");
    await generateStubs(python);
    // one process for all models: importing torch takes longer than the checks
    peer = spawn(python, [CHECK], { stdio: ["pipe", "pipe", "inherit"] });
    answers = createInterface({ input: peer.stdout });
  });

  after(() => {
    answers.close();
    peer.kill();
  });

  async function compare(model: string, options: object = {}): Promise<void> {
    const server = await startLiveServer({ model });
    try {
      const answer = new Promise<string>((resolve, reject) => {
        answers.once("line", resolve);
        answers.once("close", () =>
          reject(new Error("the Python peer ended; see its errors above")),
        );
      });
      peer.stdin.write(`${JSON.stringify({ target: server.grpcAddress, model, ...options })}\n`);
      const line = await answer;
      assert.ok("worst" in (JSON.parse(line) as object), line);
    } finally {
      await server.stop();
    }
  }

  for (const name of TINY_MODELS) {
    it(`gets from ${name} what transformers computes, in both encodings, and writes with it token for token`, async () => {
      await compare(tinyModelDir(name));
    });
  }

  it("gets from SmolLM2-135M-Instruct what transformers computes", async () => {
    const model = join(fromEnvironment("TANDEM_TEST_MODELS"), "SmolLM2-135M-Instruct");
    await compare(model, { positions: 96, sequences: 2, tolerance: 0.002 });
  });
});
