import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { credentials } from "@grpc/grpc-js";
import {
  loadTeacherPackageDefinition,
  loadTeacherProto,
} from "@tandem/proto/load-teacher-proto.js";
import type { MessageTypeDefinition } from "@grpc/proto-loader";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { startChaosProxy } from "../../helpers/chaos-proxy.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";

const MAX_MESSAGE_BYTES = 1 << 20;

/** Bytes of a message on the wire. */
function sizeOf(name: string, message: object): number {
  const definition = loadTeacherPackageDefinition()[name] as MessageTypeDefinition<object, object>;
  return definition.serialize(message).length;
}

async function gauge(server: LiveServer, name: string): Promise<number> {
  const text = await (await fetch(`http://${server.httpAddress}/metrics`)).text();
  return Number(text.match(new RegExp(`^${name} (\\S+)$`, "m"))?.[1]);
}

describe("streams of teacher-server", { timeout: 180_000 }, () => {
  let server: LiveServer;
  before(async () => {
    server = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--session-lease-ms", "300"],
    });
  });
  after(async () => {
    await server.stop();
  });

  it("splits large results over messages within the limit, rows in order", async () => {
    const stream = new TeacherStream(server.client.score());
    const items = Array.from({ length: 60 }, (_, id) => ({
      id,
      tokens: u32(Array(127).fill(id)),
      from: 1,
      signal: { dense: "DENSE_TYPE_F32" as const, topK: 97 },
    }));
    stream.send({ items });
    const next = new Map(items.map(({ id }) => [id, 1]));
    let messages = 0;
    for (let open = items.length; open > 0;) {
      const message = await stream.next();
      messages++;
      assert.ok(message && sizeOf("tandem.v1.ScoreResponse", message) <= MAX_MESSAGE_BYTES);
      for (const { id, frames, last } of message.results) {
        for (const { from, count } of frames) {
          assert.equal(from, next.get(id));
          next.set(id, from + count);
        }
        if (last) open--;
      }
    }
    assert.ok(messages > 5, `${messages} messages`);
    assert.deepEqual(new Set(next.values()), new Set([127]));
    await stream.finish();
  });

  it("gives an answered draft the same verdict again, also after the sequence went on", async () => {
    const stream = new TeacherStream(server.client.interleave());
    const draft = { sequence: 1, start: 0, replacementsSeen: 0, tokens: u32([40, 41, 42]) };
    stream.send({
      opens: [
        {
          sequence: 1,
          rngKey: 3,
          prompt: u32([5, 6]),
          maxResponse: 30,
          rule: { rank: 10 },
          sampling: { temperature: 1 },
          signal: { topK: 4, token: true },
        },
      ],
      drafts: [draft],
    });
    const first = (await stream.next())?.verdicts[0];
    assert.ok(first);
    const kept = first.accepted + (first.replacement === undefined ? 0 : 1);
    const goOn = {
      sequence: 1,
      start: kept,
      replacementsSeen: first.replacement === undefined ? 0 : 1,
      tokens: u32([7, 8]),
    };
    stream.send({ drafts: [goOn] });
    const second = (await stream.next())?.verdicts[0];
    stream.send({ drafts: [draft, goOn] });
    const verdicts = [...((await stream.next())?.verdicts ?? [])];
    while (verdicts.length < 2) verdicts.push(...((await stream.next())?.verdicts ?? []));
    assert.deepEqual(
      verdicts.map((verdict) => ({ ...verdict, usage: null })),
      [first, second].map((verdict) => ({ ...verdict, usage: null })),
    );
    await stream.finish();
    const metrics = await (await fetch(`http://${server.httpAddress}/metrics`)).text();
    assert.match(metrics, /teacher_positions_total\{kind="replay"\} 5/);
  });

  it("opens a closed id again", async () => {
    const stream = new TeacherStream(server.client.interleave());
    const open = { sequence: 1, prompt: u32([5]), maxResponse: 3, rule: { rank: 97 } };
    stream.send({ opens: [open], drafts: [{ sequence: 1, start: 0, tokens: u32([1]) }] });
    await stream.next();
    stream.send({ closes: [1] });
    stream.send({ opens: [open], drafts: [{ sequence: 1, start: 0, tokens: u32([2, 3, 4, 5]) }] });
    const verdict = (await stream.next())?.verdicts[0];
    assert.deepEqual([verdict?.accepted, verdict?.finish], [3, "FINISH_LENGTH"]);
    await stream.finish();
  });

  it("closes sequences that nobody speaks to, and their memory with them", async () => {
    const stream = new TeacherStream(server.client.interleave());
    stream.send({
      opens: [{ sequence: 1, prompt: u32([5]), maxResponse: 3, rule: { rank: 97 } }],
      drafts: [{ sequence: 1, start: 0, tokens: u32([1]) }],
    });
    await stream.next();
    assert.equal(await gauge(server, "teacher_open_sequences"), 1);
    for (let i = 0; i < 100 && (await gauge(server, "teacher_open_sequences")) > 0; i++)
      await delay(50);
    assert.equal(await gauge(server, "teacher_open_sequences"), 0);
    assert.equal(await gauge(server, "teacher_kv_cache_used_bytes"), 0);
    stream.send({ drafts: [{ sequence: 1, start: 1, tokens: u32([1]) }] });
    assert.equal((await stream.next())?.errors[0]?.code, "ERROR_CODE_NOT_FOUND");
    await stream.finish();
  });

  it("frees what a client held that is silent without having said goodbye", async () => {
    const own = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--keepalive-ms", "500"],
    });
    const proxy = await startChaosProxy({ target: own.grpcAddress, random: () => 0 });
    const client = new (loadTeacherProto().Teacher)(proxy.address, credentials.createInsecure());
    const stream = new TeacherStream(client.interleave());
    stream.call.on("error", () => {});
    stream.send({
      opens: [{ sequence: 1, prompt: u32([5]), maxResponse: 3, rule: { rank: 97 } }],
      drafts: [{ sequence: 1, start: 0, tokens: u32([1]) }],
    });
    await stream.next();
    // An idle connection that answers its probes is kept.
    await delay(2_000);
    assert.equal(await gauge(own, "teacher_open_sequences"), 1);
    proxy.blackHole(60_000);
    for (let i = 0; i < 200 && (await gauge(own, "teacher_open_sequences")) > 0; i++)
      await delay(50);
    assert.equal(await gauge(own, "teacher_open_streams"), 0);
    assert.equal(await gauge(own, "teacher_kv_cache_used_bytes"), 0);
    client.close();
    await proxy.close();
    await own.stop();
  });

  it("stops computing for a client that does not read, and goes on for others", async () => {
    const items = Array.from({ length: 400 }, (_, id) => ({
      id,
      tokens: u32([id % 97, id >> 4, ...Array<number>(125).fill(3)]),
      from: 1,
      signal: { dense: "DENSE_TYPE_F32" as const },
    }));
    const lazy = server.client.score();
    // A client of grpc-js that has never read takes everything into its memory: let it read once.
    let firstDone = 0;
    lazy.once("data", ({ results }: ScoreResponse__Output) => {
      lazy.pause();
      firstDone = results.filter(({ last }) => last).length;
    });
    lazy.write({ items });
    let waiting = -1;
    for (let i = 0; i < 100; i++) {
      await delay(100);
      const now = await gauge(server, "teacher_waiting_items");
      if (i > 5 && now > 0 && now === waiting) break;
      waiting = now;
    }
    assert.ok(waiting > 100, `${waiting} items wait although nothing else is to be done`);
    const eager = new TeacherStream(server.client.score());
    eager.send({ items: [{ id: 1, tokens: u32([1, 2]), from: 1, signal: { topK: 1 } }] });
    assert.equal((await eager.next())?.results[0]?.last, true);
    await eager.finish();
    // Results counted from here on: the first message was taken by the listener above.
    let done = firstDone;
    const finished = new Promise<void>((resolve) =>
      lazy.on("data", ({ results }: ScoreResponse__Output) => {
        done += results.filter(({ last }) => last).length;
        if (done === items.length) resolve();
      }),
    );
    lazy.resume();
    await finished;
    lazy.end();
    await once(lazy, "end");
  });
});
