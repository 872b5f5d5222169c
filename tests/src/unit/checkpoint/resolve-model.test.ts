import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";

import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { hubCacheDir, resolveModel } from "@tandem/shared/checkpoint/resolve-model.js";
import { tinyModelDir } from "../../helpers/tiny-models.js";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const UNWANTED = ["pytorch_model.bin", "README.md"];

/** The four routes of a hub that fetching a model takes, over the files of a directory. */
class TinyHub {
  readonly requests: string[] = [];
  readonly authorizations = new Set<string | undefined>();
  truncate = false;
  status = 200;
  readonly #server: Server;

  constructor(dir: string) {
    this.#server = createServer((request, response) => {
      this.#answer(dir, request, response).catch((error: unknown) =>
        response.destroy(error as Error),
      );
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(dir: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://hub");
    this.requests.push(pathname);
    this.authorizations.add(request.headers.authorization);
    const json = (value: unknown) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(value));
    };
    if (this.status !== 200) {
      response.statusCode = this.status;
      return json({ error: "no" });
    }
    if (pathname === "/api/models/org/tiny/revision/main")
      return json({ _id: "1", id: "org/tiny", sha: COMMIT });
    if (pathname.startsWith(`/api/models/org/tiny/tree/${COMMIT}`)) return json(await tree(dir));
    const file = pathname.split(`/org/tiny/resolve/${COMMIT}/`)[1];
    if (file === undefined) {
      response.statusCode = 404;
      return json({ error: "not here" });
    }
    const bytes = await readFile(join(dir, file));
    response.setHeader("etag", '"x"');
    if (request.headers.range === "bytes=0-0") {
      response.statusCode = 206;
      response.setHeader("content-range", `bytes 0-0/${bytes.length}`);
      response.end(bytes.subarray(0, 1));
      return;
    }
    response.end(this.truncate && file.endsWith(".safetensors") ? bytes.subarray(0, 100) : bytes);
  }
}

async function tree(dir: string): Promise<unknown[]> {
  const files = (await readdir(dir)).filter((name) => name !== "expected.safetensors");
  const entries = await Promise.all(
    files.map(async (path) => {
      const bytes = await readFile(join(dir, path));
      const oid = createHash("sha1").update(bytes).digest("hex");
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const lfs = path.endsWith(".safetensors")
        ? { lfs: { oid: sha256, size: bytes.length, pointerSize: 130 } }
        : {};
      return { type: "file", path, size: bytes.length, oid, ...lfs };
    }),
  );
  return [
    ...entries,
    ...UNWANTED.map((path) => ({ type: "file", path, size: 1, oid: "a".repeat(40) })),
  ];
}

describe("resolveModel", () => {
  let hub: TinyHub;
  let home: string;
  let env: Record<string, string>;
  beforeEach(async () => {
    hub = new TinyHub(tinyModelDir("llama-sharded"));
    home = await mkdtemp(join(tmpdir(), "tandem-hub-"));
    env = { HF_HOME: home, HF_ENDPOINT: `${await hub.listen()}/` };
  });
  afterEach(async () => {
    hub.close();
    await rm(home, { recursive: true });
  });

  it("takes a directory as it is", async () => {
    assert.equal(await resolveModel(tinyModelDir("gpt2"), { env }), tinyModelDir("gpt2"));
    assert.deepEqual(hub.requests, []);
  });

  it("fetches a model into the cache, the files it needs and no others", async () => {
    const dir = await resolveModel("org/tiny", { env: { ...env, HF_TOKEN: "hf_secret" } });
    assert.equal(dir, join(home, "hub", "models--org--tiny", "snapshots", COMMIT));
    const original = await CheckpointWeights.open(tinyModelDir("llama-sharded"));
    assert.equal(await (await CheckpointWeights.open(dir)).digest(), await original.digest());
    assert.equal((await readModelConfig(dir)).family, "llama");
    for (const file of UNWANTED) assert.ok(!(await readdir(dir)).includes(file));
    assert.deepEqual([...hub.authorizations], ["Bearer hf_secret"]);
  });

  it("fetches nothing twice", async () => {
    await resolveModel("org/tiny", { env });
    hub.requests.length = 0;
    await resolveModel("org/tiny", { env });
    assert.deepEqual(
      hub.requests.filter((path) => path.includes("/resolve/")),
      [],
    );
  });

  it("uses the cache when offline, by wish or by fate", async () => {
    await assert.rejects(resolveModel("org/tiny", { env: { ...env, HF_HUB_OFFLINE: "1" } }), {
      code: "NOT_FOUND",
    });
    const dir = await resolveModel("org/tiny", { env });
    hub.requests.length = 0;
    assert.equal(await resolveModel("org/tiny", { env: { ...env, HF_HUB_OFFLINE: "1" } }), dir);
    assert.deepEqual(hub.requests, []);
    hub.close();
    assert.equal(await resolveModel("org/tiny", { env }), dir);
  });

  it("never takes a file that broke off for a whole one", async () => {
    hub.truncate = true;
    await assert.rejects(resolveModel("org/tiny", { env }), { code: "UNAVAILABLE" });
    await assert.rejects(resolveModel("org/tiny", { env: { ...env, HF_HUB_OFFLINE: "1" } }), {
      code: "NOT_FOUND",
    });
    hub.truncate = false;
    const dir = await resolveModel("org/tiny", { env });
    await (await CheckpointWeights.open(dir)).digest();
  });

  const statuses = [
    [401, "UNAUTHENTICATED"],
    [403, "PERMISSION_DENIED"],
    [404, "NOT_FOUND"],
    [503, "UNAVAILABLE"],
  ] as const;
  for (const [status, code] of statuses) {
    it(`calls the hub's ${status} ${code}`, async () => {
      hub.status = status;
      await assert.rejects(resolveModel("org/tiny", { env }), { code, field: "model" });
    });
  }

  it("tells what is neither a directory nor a hub id", async () => {
    await assert.rejects(resolveModel("./no/such/dir", { env }), { code: "NOT_FOUND" });
    await assert.rejects(resolveModel("org/tiny", { env: { ...env, HF_TOKEN: "secret" } }), {
      code: "UNAUTHENTICATED",
    });
  });

  it("finds the cache where huggingface_hub has it", () => {
    assert.equal(hubCacheDir({ HF_HOME: "/a" }), "/a/hub");
    assert.equal(hubCacheDir({ HF_HOME: "/a", HF_HUB_CACHE: "/b" }), "/b");
    assert.equal(hubCacheDir({ XDG_CACHE_HOME: "/c" }), "/c/huggingface/hub");
  });
});
