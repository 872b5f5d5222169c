import assert from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { f32Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import type { Session, SessionOptions } from "@tandem/shared/runtime/session.js";

async function compile(builder: GraphBuilder, options?: Partial<SessionOptions>): Promise<Session> {
  return createOrtSession(serializeGraph(builder.build()), { threads: 1, ...options });
}

function accumulator(): GraphBuilder {
  const g = new GraphBuilder();
  const x = g.input("x", "f32", ["N"]);
  g.output("sum", g.add(g.input("previous", "f32", ["N"]), g.mul(x, x)));
  return g;
}

describe("createOrtSession", () => {
  let directory = "";
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "tandem-session-"));
  });
  after(async () => {
    await rm(directory, { recursive: true });
  });

  it("writes a result into the buffer of a feed", async () => {
    const session = await compile(accumulator());
    const sum = f32Tensor(Float32Array.of(1, 2, 3), [3]);
    const x = f32Tensor(Float32Array.of(1, 2, 3), [3]);
    await session.run({ previous: sum, x }, { sum });
    await session.run({ previous: sum, x }, { sum });
    assert.deepEqual(sum.data, Float32Array.of(3, 10, 21));
    await session.close();
  });

  it("reads parameters of every width from a file behind a symlink", async () => {
    const file = Buffer.alloc(64);
    file.writeFloatLE(1.5, 16); // f32
    file.writeUInt16LE(0xbfc0, 32); // bf16 of −1.5
    file.writeUInt16LE(0x3e00, 48); // f16 of 1.5
    await writeFile(join(directory, "weights.bin"), file);
    const link = join(directory, "link");
    await symlink(directory, link);
    const g = new GraphBuilder();
    const x = g.input("x", "f32", [1]);
    const stored = [
      ["f32", 16, 4],
      ["bf16", 32, 2],
      ["f16", 48, 2],
    ] as const;
    for (const [dtype, offset, length] of stored) {
      const bytes = { location: "weights.bin", offset, length, dtype };
      g.output(`y.${dtype}`, g.mul(x, g.parameter(dtype, [1], bytes)));
    }
    const session = await compile(g, { externalDataDir: link });
    const results = await session.run(
      { x: f32Tensor(Float32Array.of(2), [1]) },
      session.outputNames,
    );
    const values = stored.map(([dtype]) => results[`y.${dtype}`]?.data[0]);
    assert.deepEqual(values, [3, -3, 3]);
    await session.close();
  });

  it("names the directory of the weights when it is missing", async () => {
    const options = { externalDataDir: join(directory, "nowhere") };
    await assert.rejects(compile(accumulator(), options), { code: "NOT_FOUND" });
  });

  it("refuses bytes that are not a model", async () => {
    const creation = createOrtSession(Uint8Array.of(1, 2, 3), { threads: 1 });
    await assert.rejects(creation, { code: "INVALID_ARGUMENT" });
  });

  it("refuses values that do not fill their shape, and shapes the model does not take", async () => {
    const session = await compile(accumulator());
    const short = f32Tensor(Float32Array.of(1), [2]);
    await assert.rejects(session.run({ previous: short, x: short }, ["sum"]), {
      code: "INVALID_ARGUMENT",
    });
    const [two, three] = [2, 3].map((size) => f32Tensor(new Float32Array(size), [size]));
    await assert.rejects(session.run({ previous: two!, x: three! }, ["sum"]), { code: "INTERNAL" });
    await session.close();
  });

  it("does not run after it is closed, and closes twice", async () => {
    const session = await compile(accumulator());
    await session.close();
    await session.close();
    await assert.rejects(session.run({}, ["sum"]), { code: "FAILED_PRECONDITION" });
  });
});
