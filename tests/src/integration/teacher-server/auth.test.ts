import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Metadata, status } from "@grpc/grpc-js";
import type { ItemError__Output } from "@tandem/proto/gen/tandem/v1/ItemError.js";
import type { ScoreRequest } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";
import type { TeacherSecurity } from "@tandem/student-trainer/teacher/teacher-security.js";
import { check, healthClient } from "../../helpers/health-client.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";
import { tlsFile } from "../../helpers/tls-files.js";

const MODEL = fixtureModel("llama-tied");
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

type ClientFile = readonly Readonly<Record<string, unknown>>[];

const CLIENTS: ClientFile = [
  { name: "trainer", tokenSha256: [sha256("t-secret")], weight: 3 },
  { name: "watcher", tokenSha256: [sha256("w-secret")], scopes: ["metrics"] },
  {
    name: "small",
    tokenSha256: [sha256("s-secret")],
    quota: { tokensPerSecond: 0.01, streams: 1 },
  },
  { name: "rare", tokenSha256: [sha256("r-secret")], quota: { requestsPerSecond: 0.01 } },
  { name: "thin", tokenSha256: [sha256("b-secret")], quota: { bytesPerSecond: 500 } },
  { name: "steady", tokenSha256: [sha256("e-secret")], quota: { tokensPerSecond: 500 } },
  { name: "single", tokenSha256: [sha256("1-secret")], quota: { sequences: 1 } },
];

function bearer(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

function connectTeacher(
  server: LiveServer,
  security: TeacherSecurity,
  retryTimeoutMs = 30_000,
): Promise<TeacherClient> {
  return TeacherClient.connect({
    ...TEACHER_DEFAULTS,
    ...security,
    addresses: [server.grpcAddress],
    retryTimeoutMs,
    random: () => 0,
  });
}

const item = (id: number) => ({
  items: [{ id, tokens: u32([1, 2, 3]), from: 1, signal: { token: true } }],
});

describe("a server with a file of clients", { timeout: 120_000 }, () => {
  let dir: string;
  let server: LiveServer;
  const write = (clients: ClientFile) =>
    writeFileSync(join(dir, "clients.json"), JSON.stringify({ clients }));
  const score = (token: string) =>
    new TeacherStream<ScoreRequest, ScoreResponse__Output>(server.client.score(bearer(token)));
  const metrics = (headers: Record<string, string>) =>
    fetch(`http://${server.httpAddress}/metrics`, { headers });
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), "tandem-auth-"));
    write(CLIENTS);
    const audit = ["--audit-log", join(dir, "audit.jsonl")];
    const args = ["--auth-file", join(dir, "clients.json"), "--credentials-reload-ms", "20"];
    server = await startLiveServer({ model: MODEL, args: [...args, ...audit] });
  });
  after(async () => {
    await server.stop();
    rmSync(dir, { recursive: true });
  });

  it("serves a student that shows its token, from memory or from a file", async () => {
    const tokenFile = join(dir, "token");
    writeFileSync(tokenFile, "t-secret\n");
    for (const security of [{ token: "t-secret" }, { tokenFile }]) {
      const teacher = await connectTeacher(server, security);
      const tokens = Uint32Array.of(1, 2, 3);
      const answer = await teacher.score({
        tokens,
        from: 1,
        signal: { ...NO_SIGNAL, token: true },
      });
      assert.equal(answer.signal?.count, 2);
      teacher.close();
    }
  });

  it("refuses a student without a token, or with a wrong one, at once", async () => {
    for (const security of [{}, { token: "wrong" }]) {
      await assert.rejects(connectTeacher(server, security), {
        code: "UNAUTHENTICATED",
      });
    }
  });

  it("refuses a call that is outside the client's scopes", async () => {
    await assert.rejects(score("w-secret").next(), {
      code: status.PERMISSION_DENIED,
      details: /client watcher lacks the scope score; it has metrics/,
    });
  });

  it("answers health to everybody, and metrics to whom they are for", async () => {
    const health = healthClient(server.grpcAddress);
    assert.equal(await check(health, ""), "SERVING");
    health.close();
    assert.equal((await fetch(`http://${server.httpAddress}/readyz`)).status, 200);
    assert.equal((await metrics({})).status, 401);
    assert.equal((await metrics({ authorization: "Bearer t-secret" })).status, 403);
    assert.equal((await metrics({ authorization: "Bearer w-secret" })).status, 200);
  });

  it("holds a client to its quota, in-band and with the time to wait", async () => {
    const stream = score("s-secret");
    for (const id of [1, 2]) stream.send(item(id));
    const results: number[] = [];
    const errors: ItemError__Output[] = [];
    while (results.length + errors.length < 2) {
      const answer = await stream.next();
      results.push(...(answer?.results ?? []).map(({ id }) => id));
      errors.push(...(answer?.errors ?? []));
    }
    assert.deepEqual(results, [1]);
    assert.equal(errors[0]?.id, 2);
    assert.equal(errors[0]?.code, "ERROR_CODE_RESOURCE_EXHAUSTED");
    assert.equal(errors[0]?.field, "quota.tokensPerSecond");
    // 2.99 tokens of debt at a hundredth a second are 299 s, less what has passed since.
    const waitMs = errors[0]?.retryDelayMs ?? 0;
    assert.ok(waitMs <= 299_000 && waitMs > 200_000, String(waitMs));
    await assert.rejects(score("s-secret").next(), { code: status.RESOURCE_EXHAUSTED });
    await stream.finish();
    const again = score("s-secret");
    await again.finish();
  });

  for (const [secret, quota] of [
    ["r-secret", "requestsPerSecond"],
    ["b-secret", "bytesPerSecond"],
  ] as const) {
    it(`holds a client to its ${quota}`, async () => {
      const stream = score(secret);
      // 260 bytes there and 23 kB back: 45 s at 500 a second.
      const signal = { dense: "DENSE_TYPE_F32" as const };
      stream.send({ items: [{ id: 1, tokens: u32(Array(60).fill(7)), from: 1, signal }] });
      assert.equal((await stream.next())?.results[0]?.id, 1);
      stream.send(item(2));
      const [error] = (await stream.next())?.errors ?? [];
      assert.equal(error?.code, "ERROR_CODE_RESOURCE_EXHAUSTED");
      assert.equal(error?.field, `quota.${quota}`);
      assert.ok((error?.retryDelayMs ?? 0) > 0);
      await stream.finish();
    });
  }

  it("answers all that a student asks at once, however long its quota makes that take", async () => {
    const teacher = await connectTeacher(server, { token: "e-secret" }, 2_000);
    // 3600 tokens at 500 a second: three times as long as a teacher that does not answer is waited for, which no stall of a busy machine reaches.
    const asked = Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        teacher.score({
          tokens: Uint32Array.from({ length: 60 }, (_, at) => (i + at) % 90),
          from: 59,
          signal: { ...NO_SIGNAL, token: true },
        }),
      ),
    );
    const answers = await asked.finally(() => teacher.close());
    assert.ok(answers.every(({ signal }) => signal?.count === 1));
  });

  it("limits the sequences a client has open", async () => {
    const stream = new TeacherStream(server.client.interleave(bearer("1-secret")));
    const opens = [1, 2].map((sequence) => ({ sequence, prompt: u32([1]), maxResponse: 2 }));
    stream.send({ opens });
    const answer = await stream.next();
    assert.deepEqual(
      answer?.errors.map(({ id, field }) => [id, field]),
      [[2, "quota.sequences"]],
    );
    await stream.finish();
  });

  it("writes a line about every call, without what it was about", async () => {
    const lines = () =>
      readFileSync(join(dir, "audit.jsonl"), "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    const before = lines().length;
    const stream = score("t-secret");
    stream.send(item(7));
    await stream.next();
    await stream.finish();
    // The client may know of the end before the line is written.
    const own = () =>
      lines()
        .slice(before)
        .find(({ client }) => client === "trainer");
    while (own() === undefined) await delay(5);
    const last = own() ?? {};
    const fields =
      "time client peer call code durationMs items refused positions receivedBytes sentBytes";
    assert.deepEqual(Object.keys(last), fields.split(" "));
    assert.equal(last["client"], "trainer");
    assert.equal(last["call"], "/tandem.v1.Teacher/Score");
    assert.deepEqual([last["code"], last["items"], last["refused"]], ["OK", 1, 0]);
    // The laws of two tokens.
    assert.equal(last["positions"], 2);
    assert.ok(Number(last["receivedBytes"]) > 12 && Number(last["sentBytes"]) > 8);
    const described = lines().filter(
      ({ call, code }) => call === "/tandem.v1.Teacher/Describe" && code === "OK",
    );
    // The tokenizer's manifest alone is more.
    assert.ok(described.length > 0 && described.every(({ sentBytes }) => Number(sentBytes) > 100));
    const refused = lines().filter(({ code }) => code === "UNAUTHENTICATED");
    assert.ok(refused.length >= 2 && refused.every(({ client }) => client === ""));
    assert.ok(!readFileSync(join(dir, "audit.jsonl"), "utf8").includes("secret"));
  });

  it("takes over the file when it changes: new clients come in, streams of others are cut", async () => {
    const trainer = score("t-secret");
    trainer.send(item(1));
    await trainer.next();
    const watcher = score("new-secret");
    await assert.rejects(watcher.next(), { code: status.UNAUTHENTICATED });
    write([{ name: "newcomer", tokenSha256: [sha256("new-secret")] }]);
    await assert.rejects(trainer.next(), {
      code: status.UNAUTHENTICATED,
      details: /no longer good/,
    });
    const newcomer = score("new-secret");
    newcomer.send(item(1));
    assert.equal((await newcomer.next())?.results.length, 1);
    write([{ name: "broken" }]);
    while (!server.logs.some(({ event }) => event === "auth.reload_failed")) await delay(10);
    newcomer.send(item(2));
    assert.equal((await newcomer.next())?.results.length, 1);
    await newcomer.finish();
  });
});

describe("a server with a token in its environment", { timeout: 60_000 }, () => {
  it("lets in who has the same one, over TLS too, where a certificate can stand for it", async () => {
    const dir = mkdtempSync(join(tmpdir(), "tandem-auth-"));
    const file = join(dir, "clients.yaml");
    writeFileSync(file, "clients: [{ name: by-certificate, certificate: student.test }]");
    const tlsArgs = [
      "--ssl-certfile",
      tlsFile("server.pem"),
      "--ssl-keyfile",
      tlsFile("server.key"),
    ];
    const server = await startLiveServer({
      model: MODEL,
      args: [...tlsArgs, "--ssl-ca-certs", tlsFile("authority.pem"), "--auth-file", file],
      env: { TANDEM_TEACHER_TOKEN: "e-secret" },
    });
    const known = {
      caFile: tlsFile("authority.pem"),
      certFile: tlsFile("student.pem"),
      keyFile: tlsFile("student.key"),
    };
    const byCertificate = await connectTeacher(server, { tls: known });
    byCertificate.close();
    const byToken = await connectTeacher(server, { tls: known, token: "e-secret" });
    byToken.close();
    await assert.rejects(connectTeacher(server, { tls: known, token: "other" }), {
      code: "UNAUTHENTICATED",
    });
    await server.stop();
    rmSync(dir, { recursive: true });
  });

  it("answers health only to them where it is told so", async () => {
    const server = await startLiveServer({
      model: MODEL,
      args: ["--health-without-token", "off"],
      env: { TANDEM_TEACHER_TOKEN: "e-secret" },
    });
    const health = healthClient(server.grpcAddress);
    await assert.rejects(check(health, ""), { code: status.UNAUTHENTICATED });
    health.close();
    // Probes of a container cannot send one.
    assert.equal((await fetch(`http://${server.httpAddress}/readyz`)).status, 200);
    await server.stop();
  });
});
