import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { credentials, loadPackageDefinition, status, type Client } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { loadTeacherProto } from "@tandem/proto/load-teacher-proto.js";
import { check, healthClient } from "../../helpers/health-client.js";
import {
  fixtureModel,
  spawnTeacherServer,
  startLiveServer,
  type LiveServer,
} from "../../helpers/live-server.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";

type Answer = Record<string, unknown>;

async function http(server: LiveServer, path: string): Promise<readonly [number, string]> {
  const response = await fetch(`http://${server.httpAddress}${path}`);
  return [response.status, await response.text()];
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { readonly port: number };
  probe.close();
  await once(probe, "close");
  return port;
}

/** The process that loads the model. */
async function startedEngine(server: { readonly stderr: () => string }): Promise<number> {
  for (;;) {
    const started = /"event":"engine\.started","engine":(\d+)/.exec(server.stderr());
    if (started !== null) return Number(started[1]);
    await delay(2);
  }
}

/** What a server that is about to listen says first of its health, and how it refuses a call. */
async function firstAnswer(address: string): Promise<readonly [string, number | undefined]> {
  for (;;) {
    // A client that was refused once waits a second before it tries again: a new one each time.
    const client = new (loadTeacherProto().Teacher)(address, credentials.createInsecure());
    const probe = healthClient(address);
    const described = new Promise<number | undefined>((resolve) =>
      client.describe({}, (error) => resolve(error?.code)),
    );
    const health = await check(probe, "").catch(() => undefined);
    if (health !== undefined) return [health, await described];
    probe.close();
    client.close();
    await delay(5);
  }
}

describe("operating teacher-server", { timeout: 180_000 }, () => {
  let server: LiveServer;
  before(async () => {
    server = await startLiveServer({ model: fixtureModel("llama-tied") });
  });
  after(async () => {
    await server.stop();
  });

  it("is healthy as a whole and as a teacher, and knows no other service", async () => {
    const client = healthClient(server.grpcAddress);
    assert.equal(await check(client, ""), "SERVING");
    assert.equal(await check(client, "tandem.v1.Teacher"), "SERVING");
    await assert.rejects(check(client, "nobody"), { code: status.NOT_FOUND });
    client.close();
  });

  it("answers server reflection with its services", async () => {
    const require = createRequire(import.meta.resolve("@grpc/reflection"));
    const path =
      require.resolve("@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto");
    const loaded = loadPackageDefinition(loadSync(path)) as unknown as {
      grpc: {
        reflection: {
          v1: {
            ServerReflection: new (
              address: string,
              c: ReturnType<typeof credentials.createInsecure>,
            ) => Client & { ServerReflectionInfo(): never };
          };
        };
      };
    };
    const client = new loaded.grpc.reflection.v1.ServerReflection(
      server.grpcAddress,
      credentials.createInsecure(),
    );
    const stream = new TeacherStream<Answer, Answer>(client.ServerReflectionInfo());
    stream.send({ listServices: "" });
    const listed = (await stream.next())?.listServicesResponse as
      { readonly service: readonly { readonly name: string }[] } | undefined;
    const names = (listed?.service ?? []).map(({ name }) => name);
    assert.ok(names.includes("tandem.v1.Teacher"), names.join());
    await stream.finish();
    client.close();
  });

  it("serves liveness, readiness and metrics with units", async () => {
    assert.deepEqual(await http(server, "/livez"), [200, "alive\n"]);
    assert.deepEqual(await http(server, "/readyz"), [200, "ready\n"]);
    assert.equal((await http(server, "/other"))[0], 404);
    const stream = new TeacherStream(server.client.score());
    stream.send({ items: [{ id: 1, tokens: u32([1, 2, 3]), from: 2, signal: { topK: 2 } }] });
    await stream.next();
    await stream.finish();
    const [code, text] = await http(server, "/metrics");
    assert.equal(code, 200);
    for (const wanted of [
      'teacher_requests_total{method="Score",code="OK"} 1',
      'teacher_items_total{method="Score",code="OK"} 1',
      'teacher_positions_total{kind="score"} 1',
      'teacher_positions_total{kind="prefill"} 1',
      "teacher_engine_up 1",
      "teacher_kv_cache_used_bytes 0",
      'teacher_model_info{model="llama-tied"',
    ]) {
      assert.ok(text.includes(wanted), `${wanted} in\n${text}`);
    }
  });

  it("drains on SIGTERM: not serving, nothing new, what was asked is answered, exit 0", async () => {
    const leaving = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--max-num-batched-tokens", "16"],
    });
    const health = healthClient(leaving.grpcAddress);
    const seen: string[] = [];
    const watch = health.watch({ service: "tandem.v1.Teacher" });
    watch.on("error", () => {});
    const watched = new Promise<void>((resolve) =>
      watch.on("data", ({ status: now }: { status: string }) => {
        seen.push(now);
        if (seen.length === 1 || now === "NOT_SERVING") resolve();
      }),
    );
    await watched;
    const count = 60;
    const working = new TeacherStream(leaving.client.score());
    const idle = new TeacherStream(leaving.client.interleave());
    idle.send({ opens: [{ sequence: 1, prompt: u32([1]), maxResponse: 3 }] });
    const items = Array.from({ length: count }, (_, id) => ({
      id,
      tokens: u32(Array.from({ length: 120 }, (_, i) => i % 97)),
      from: 1,
      signal: { token: true },
    }));
    working.send({ items });
    let done = 0;
    while (done === 0)
      done += ((await working.next())?.results ?? []).filter(({ last }) => last).length;
    leaving.process.kill("SIGTERM");
    await assert.rejects(idle.next(), { code: status.UNAVAILABLE });
    await assert.rejects(
      async () => {
        for (;;) done += ((await working.next())?.results ?? []).filter(({ last }) => last).length;
      },
      { code: status.UNAVAILABLE },
    );
    assert.equal(done, count, "everything that was asked before is answered");
    assert.equal(await leaving.exited, 0);
    assert.deepEqual(seen, ["SERVING", "NOT_SERVING"]);
    health.close();
    leaving.client.close();
  });

  it("ends at once on a second signal", async () => {
    const leaving = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--max-num-batched-tokens", "4"],
    });
    const stream = new TeacherStream(leaving.client.score());
    const items = Array.from({ length: 400 }, (_, id) => ({
      id,
      tokens: u32([id % 97, id >> 4, ...Array<number>(118).fill(1)]),
      from: 1,
      signal: { token: true },
    }));
    stream.send({ items });
    await stream.next();
    leaving.process.kill("SIGTERM");
    while (!leaving.logs.some(({ event }) => event === "signal")) await delay(10);
    leaving.process.kill("SIGTERM");
    assert.equal(await leaving.exited, 130);
    leaving.client.close();
  });

  it("is not serving, and says so to callers, while its model loads", async () => {
    const port = await freePort();
    const args = [
      "--model",
      fixtureModel("llama-tied"),
      "--port",
      String(port),
      "--http-port",
      "0",
    ];
    const loading = spawnTeacherServer(args, { TANDEM_LOG_FORMAT: "json" });
    // A model as small as this one is there before the listeners are.
    const engine = await startedEngine(loading);
    process.kill(engine, "SIGSTOP");
    const address = `127.0.0.1:${port}`;
    try {
      assert.deepEqual(await firstAnswer(address), ["NOT_SERVING", status.UNAVAILABLE]);
    } finally {
      process.kill(engine, "SIGCONT");
    }
    const health = healthClient(address);
    while ((await check(health, "")) !== "SERVING") await delay(20);
    health.close();
    loading.kill("SIGTERM");
    assert.equal((await loading.ended).code, 0);
  });

  it("cuts work off when the shutdown timeout is over", async () => {
    const leaving = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--max-num-batched-tokens", "4", "--shutdown-timeout-ms", "50"],
    });
    const stream = new TeacherStream(leaving.client.score());
    stream.send({
      items: Array.from({ length: 200 }, (_, id) => ({
        id,
        tokens: u32(Array(120).fill(1)),
        from: 1,
        signal: { token: true },
      })),
    });
    await stream.next();
    leaving.process.kill("SIGTERM");
    await assert.rejects(async () => {
      while ((await stream.next()) !== undefined);
    });
    assert.equal(await leaving.exited, 0);
    leaving.client.close();
  });
});
