import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

const SESSION = `
  const { GraphBuilder } = await import(process.argv[1]);
  const { serializeGraph } = await import(process.argv[2]);
  const { createOrtSession } = await import(process.argv[3]);
  const g = new GraphBuilder();
  g.output("y", g.neg(g.input("x", "f32", ["N"])));
  const session = await createOrtSession(serializeGraph(g.build()), { threads: 1 });
  await session.close();`;

describe("onnxruntime's telemetry", { skip: process.platform !== "linux" }, () => {
  it("is off: a session leaves no device id, database or log behind", () => {
    const home = mkdtempSync(join(tmpdir(), "tandem-home-"));
    try {
      const modules = ["onnx/graph-builder", "onnx/serialize", "runtime/ort-session"];
      const paths = modules.map((name) => import.meta.resolve(`@tandem/shared/${name}.js`));
      execFileSync(process.execPath, ["--input-type=module", "-e", SESSION, "--", ...paths], {
        env: { PATH: process.env["PATH"], HOME: home, TMPDIR: home },
      });
      assert.deepEqual(readdirSync(home), []);
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});
