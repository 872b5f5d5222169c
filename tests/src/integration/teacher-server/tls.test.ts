import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";
import type { TeacherSecurity } from "@tandem/student-trainer/teacher/teacher-security.js";
import {
  fixtureModel,
  runTeacherServer,
  startLiveServer,
  type LiveServer,
} from "../../helpers/live-server.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";
import { tlsBytes, tlsFile } from "../../helpers/tls-files.js";

const MODEL = fixtureModel("llama-tied");

/** For those who are refused: long enough for a slow machine to say why. */
const REFUSED_MS = 1_500;

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

/** The subject of the certificate that a listener shows now. */
function subjectOf(address: string, protocol: string): Promise<string> {
  const [host = "", port = ""] = address.split(":");
  return new Promise((resolve, reject) => {
    const ca = tlsBytes("authority.pem");
    const socket = connect({ host, port: Number(port), ca, ALPNProtocols: [protocol] }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return;
    await delay(25);
  }
  assert.fail("it did not come to pass within 5 s");
}

describe("TLS", { timeout: 120_000 }, () => {
  let server: LiveServer;
  let dir: string;
  const put = (from: string, to: string) => copyFileSync(tlsFile(from), join(dir, to));
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), "tandem-tls-"));
    put("server.pem", "cert.pem");
    put("server.key", "key.pem");
    const files = ["--ssl-certfile", join(dir, "cert.pem"), "--ssl-keyfile", join(dir, "key.pem")];
    server = await startLiveServer({
      model: MODEL,
      args: [...files, "--credentials-reload-ms", "20"],
      credentials: credentials.createSsl(tlsBytes("authority.pem")),
    });
  });
  after(async () => {
    await server.stop();
    rmSync(dir, { recursive: true });
  });

  it("serves a student that knows the authority", async () => {
    const teacher = await connectTeacher(server, { tls: { caFile: tlsFile("authority.pem") } });
    assert.ok(teacher.description.vocabSize > 0);
    teacher.close();
  });

  it("is not believed by a student that knows another authority", async () => {
    const tls = { caFile: tlsFile("stranger-authority.pem") };
    await assert.rejects(connectTeacher(server, { tls }, REFUSED_MS), {
      code: "UNAVAILABLE",
      message: /unable to verify|self-signed|certificate/,
    });
  });

  it("does not speak plain text", async () => {
    await assert.rejects(connectTeacher(server, {}, REFUSED_MS), { code: "UNAVAILABLE" });
    await assert.rejects(fetch(`http://${server.httpAddress}/livez`));
  });

  it("answers health and metrics over HTTPS", async () => {
    const code = await new Promise((resolve, reject) => {
      const url = `https://${server.httpAddress}/readyz`;
      get(url, { ca: tlsBytes("authority.pem") }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on("error", reject);
    });
    assert.equal(code, 200);
  });

  it("takes over new files on both ports while streams go on, and keeps the old ones as long as the new do not fit", async () => {
    const stream = new TeacherStream(server.client.Score());
    const score = async (id: number) => {
      stream.send({ items: [{ id, tokens: u32([1, 2, 3]), from: 1, signal: { token: true } }] });
      return (await stream.next())?.results[0]?.id;
    };
    assert.equal(await score(1), 1);
    put("server-next.key", "key.pem");
    await until(() => server.logs.some(({ event }) => event === "tls.reload_failed"));
    assert.equal(await subjectOf(server.grpcAddress, "h2"), "server");
    put("server-next.pem", "cert.pem");
    await until(async () => (await subjectOf(server.grpcAddress, "h2")) === "server-next");
    assert.equal(await subjectOf(server.httpAddress, "http/1.1"), "server-next");
    assert.equal(await score(2), 2);
    const failures = () => server.logs.filter(({ event }) => event === "tls.reload_failed").length;
    const seen = failures();
    writeFileSync(join(dir, "cert.pem"), "not a certificate");
    await until(() => failures() > seen);
    assert.equal(await subjectOf(server.grpcAddress, "h2"), "server-next");
    await stream.finish();
  });
});

describe("SIGHUP", { timeout: 60_000 }, () => {
  it("takes over new certificates and clients at once, long before they would be looked at", async () => {
    const dir = mkdtempSync(join(tmpdir(), "tandem-hangup-"));
    const path = (name: string) => join(dir, name);
    const clients = (secret: string) => {
      const tokenSha256 = [createHash("sha256").update(secret).digest("hex")];
      writeFileSync(
        path("clients.json"),
        JSON.stringify({ clients: [{ name: "a", tokenSha256 }] }),
      );
    };
    copyFileSync(tlsFile("server.pem"), path("cert.pem"));
    copyFileSync(tlsFile("server.key"), path("key.pem"));
    clients("old");
    const files = { certfile: "cert.pem", keyfile: "key.pem" };
    const server = await startLiveServer({
      model: MODEL,
      args: [
        ...Object.entries(files).flatMap(([flag, name]) => [`--ssl-${flag}`, path(name)]),
        "--auth-file",
        path("clients.json"),
        "--credentials-reload-ms",
        "600000",
      ],
    });
    try {
      const tls = { caFile: tlsFile("authority.pem") };
      copyFileSync(tlsFile("server-next.pem"), path("cert.pem"));
      copyFileSync(tlsFile("server-next.key"), path("key.pem"));
      clients("new");
      (await connectTeacher(server, { tls, token: "old" })).close();
      assert.equal(await subjectOf(server.grpcAddress, "h2"), "server");
      server.process.kill("SIGHUP");
      await until(async () => (await subjectOf(server.grpcAddress, "h2")) === "server-next");
      assert.equal(await subjectOf(server.httpAddress, "http/1.1"), "server-next");
      (await connectTeacher(server, { tls, token: "new" })).close();
      await assert.rejects(connectTeacher(server, { tls, token: "old" }, REFUSED_MS), {
        code: "UNAUTHENTICATED",
      });
    } finally {
      assert.equal(await server.stop(), 0);
      rmSync(dir, { recursive: true });
    }
  });
});

describe("mutual TLS", { timeout: 120_000 }, () => {
  const tls = { caFile: tlsFile("authority.pem") };
  let server: LiveServer;
  before(async () => {
    const files = { certfile: "server.pem", keyfile: "server.key", "ca-certs": "authority.pem" };
    server = await startLiveServer({
      model: MODEL,
      args: Object.entries(files).flatMap(([flag, name]) => [`--ssl-${flag}`, tlsFile(name)]),
    });
  });
  after(async () => {
    await server.stop();
  });

  it("serves a student with a certificate of the authority", async () => {
    const own = { certFile: tlsFile("student.pem"), keyFile: tlsFile("student.key") };
    const teacher = await connectTeacher(server, { tls: { ...tls, ...own } });
    assert.ok(teacher.description.vocabSize > 0);
    teacher.close();
  });

  it("refuses a student without a certificate and one that another authority signed", async () => {
    await assert.rejects(connectTeacher(server, { tls }, REFUSED_MS), { code: "UNAVAILABLE" });
    const own = { certFile: tlsFile("stranger.pem"), keyFile: tlsFile("stranger.key") };
    await assert.rejects(connectTeacher(server, { tls: { ...tls, ...own } }, REFUSED_MS), {
      code: "UNAVAILABLE",
    });
  });
});

describe("exposure", { timeout: 60_000 }, () => {
  it("refuses plain text on an address that other machines reach", async () => {
    const end = await runTeacherServer(["--model", MODEL, "--host", "0.0.0.0"]);
    assert.equal(end.code, 2);
    assert.match(end.stderr, /--ssl-certfile and --ssl-keyfile, or say --allow-insecure on/);
  });

  it("refuses a certificate without its key, and a key of another certificate", async () => {
    const cert = ["--model", MODEL, "--ssl-certfile", tlsFile("server.pem")];
    const alone = await runTeacherServer(cert);
    assert.equal(alone.code, 2);
    assert.match(alone.stderr, /belong together/);
    const other = await runTeacherServer([...cert, "--ssl-keyfile", tlsFile("server-next.key")]);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /do not make a TLS server: .*mismatch/);
  });

  it("sends no token in plain text to another machine", async () => {
    const options = { ...TEACHER_DEFAULTS, addresses: ["192.0.2.1:50051"], random: () => 0 };
    await assert.rejects(TeacherClient.connect({ ...options, token: "secret" }), {
      code: "FAILED_PRECONDITION",
      message: /192\.0\.2\.1:50051 in plain text: set teacher\.tls/,
    });
  });
});
