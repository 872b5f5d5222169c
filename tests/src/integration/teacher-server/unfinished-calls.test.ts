import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { after, before, beforeEach, describe, it } from "node:test";
import { check, healthClient } from "../../helpers/health-client.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { peakOf } from "../../helpers/load-fuzz.js";

const MIB = 2 ** 20;
const MAX_STREAMS = 100;
const CHECK = "/grpc.health.v1.Health/Check";
const WATCH = "/grpc.health.v1.Health/Watch";

function heard(stream: ClientHttp2Stream, event: "close" | "drain"): Promise<void> {
  return new Promise((resolve) => stream.once(event, () => resolve()));
}

async function closed(stream: ClientHttp2Stream): Promise<void> {
  if (!stream.destroyed) await heard(stream, "close");
}

/** What callers do who have no token and do not behave: calls made frame by frame. */
describe("calls that never end", { timeout: 60_000 }, () => {
  let server: LiveServer;
  let session: ClientHttp2Session;
  before(async () => {
    server = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--max-streams", String(MAX_STREAMS)],
      env: { TANDEM_TEACHER_TOKEN: "4d1c7c0e" },
    });
  });
  beforeEach(() => {
    session = connect(`http://${server.grpcAddress}`);
    session.on("error", () => {});
  });
  after(async () => {
    await server.stop();
  });

  function call(path: string): ClientHttp2Stream {
    const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
    const stream = session.request({ ...headers, te: "trailers" }, { endStream: false });
    stream.on("error", () => {});
    stream.resume();
    return stream;
  }

  /** Resolves when nothing on the way to the server is older. */
  function settled(): Promise<void> {
    return new Promise((resolve, reject) =>
      session.ping((error) => (error === null ? resolve() : reject(error))),
    );
  }

  async function isHealthy(): Promise<void> {
    const client = healthClient(server.grpcAddress);
    assert.equal(await check(client, ""), "SERVING");
    client.close();
  }

  it("takes bounded memory for messages whose end does not come, and answers others", async () => {
    const before = peakOf(server.process.pid as number);
    const calls: ClientHttp2Stream[] = [];
    // Each with all but the last byte of its mebibyte; of as many calls as there may be, 100 MiB could be here.
    for (let round = 0; round < 10; round++) {
      const batch = Array.from({ length: 20 }, () => call(CHECK));
      const head = Buffer.from([0, 0, 16, 0, 0]);
      for (const stream of batch) stream.write(Buffer.concat([head, Buffer.alloc(MIB - 1)]));
      await Promise.all(
        batch.map((stream) => Promise.race([heard(stream, "drain"), closed(stream)])),
      );
      await settled();
      calls.push(...batch);
    }
    const cut = calls.filter(({ rstCode }) => rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM);
    assert.ok(cut.length >= calls.length - 32, `${cut.length} of ${calls.length} were cut`);
    const grown = peakOf(server.process.pid as number) - before;
    assert.ok(
      grown < 100 * MIB,
      `${calls.length} MiB came, and memory has grown by ${grown} bytes`,
    );
    await isHealthy();
    session.destroy();
  });

  it("holds no more health watches than streams, and lets the oldest go for new ones", async () => {
    const watches: ClientHttp2Stream[] = [];
    for (let i = 0; i < 3 * MAX_STREAMS; i++) {
      const watch = call(WATCH);
      watch.write(Buffer.alloc(5));
      watches.push(watch);
    }
    await Promise.all(watches.slice(0, 2 * MAX_STREAMS).map(closed));
    await settled();
    const open = watches.map(({ closed }) => !closed);
    assert.deepEqual(
      open,
      watches.map((_, i) => i >= 2 * MAX_STREAMS),
    );
    await isHealthy();
    session.destroy();
  });

  it("holds no more calls that it has answered and their callers leave open", async () => {
    const refused: ClientHttp2Stream[] = [];
    for (let i = 0; i < 2 * MAX_STREAMS; i++) {
      const score = call("/tandem.v1.Teacher/Score");
      const [headers] = (await once(score, "response")) as [Record<string, string>];
      assert.equal(Number(headers["grpc-status"]), 16);
      refused.push(score);
    }
    await Promise.all(refused.slice(0, MAX_STREAMS - 1).map(closed));
    await isHealthy();
    session.destroy();
  });
});
