import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Metadata } from "@grpc/grpc-js";
import type { InterleaveRequest } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { InterleaveResponse__Output } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import type { ScoreRequest } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { runTeacherServer, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { fuzzLoad, peakOf } from "../../helpers/load-fuzz.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";
import { writeWideModel } from "../../helpers/wide-model.js";

const MIB = 2 ** 20;
const VOCABULARY = 8192;
const CONTEXT = 256;
const SIZES =
  `--kv-cache-memory-bytes ${8 * MIB} --prefix-cache-memory-bytes ${4 * MIB} --max-num-batched-tokens 64`.split(
    " ",
  );

describe("--memory-limit", { timeout: 60_000 }, () => {
  let model: string;
  let server: LiveServer;
  let limitBytes: number;
  const gauge = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://${server.httpAddress}/metrics`)).text();
    return Number(text.match(new RegExp(`^${name} (\\S+)$`, "m"))?.[1]);
  };
  const until = async (condition: () => Promise<boolean>): Promise<void> => {
    for (let tries = 0; tries < 1500; tries++) {
      if (await condition()) return;
      await delay(20);
    }
    assert.fail("it did not come to pass within 30 s");
  };
  before(async () => {
    model = await writeWideModel({ vocabSize: VOCABULARY, contextLength: CONTEXT });
  });
  after(async () => {
    await server.stop();
    rmSync(model, { recursive: true });
  });

  it("says what is needed when it is too small, and serves with that", async () => {
    const end = await runTeacherServer([
      "--model",
      model,
      "--port",
      "0",
      "--http-port",
      "0",
      "--memory-limit",
      "1000",
      ...SIZES,
    ]);
    assert.equal(end.code, 1);
    const needed = Number(/take (\d+) bytes/.exec(end.stderr)?.[1]);
    // Another process has another size; the rest is for items.
    limitBytes = needed + 64 * MIB;
    server = await startLiveServer({
      model,
      args: ["--memory-limit", String(limitBytes), ...SIZES],
    });
  });

  it("holds a client that does not read on any of its streams to bounded memory, and nobody else up", async () => {
    const name = new Metadata();
    name.set("tandem-client", "deaf");
    const deaf = Array.from({ length: 8 }, () => server.client.score(name));
    const dense = { from: 1, signal: { dense: "DENSE_TYPE_F32" as const } };
    const tokens = u32(Array(32).fill(7));
    for (const call of deaf) {
      call.on("error", () => {});
      // A client of grpc-js that has never read takes everything into its memory: let it read once.
      call.once("data", () => call.pause());
    }
    const limit = await gauge("teacher_item_memory_limit_bytes");
    // It goes on asking until it has as much as it can get.
    let id = 0;
    await until(async () => {
      for (const call of deaf)
        if (call.writableLength < 16) call.write({ items: [{ id: id++, tokens, ...dense }] });
      return (await gauge("teacher_item_memory_used_bytes")) > 0.6 * limit;
    });
    const stream = new TeacherStream<ScoreRequest, ScoreResponse__Output>(server.client.score());
    for (let id = 0; id < 20; id++) {
      stream.send({ items: [{ id, tokens: u32([1, 2, 3]), from: 1, signal: { token: true } }] });
      const answer = await stream.next();
      assert.equal(answer?.results.length, 1);
    }
    await stream.finish();
    for (const call of deaf) call.cancel();
    await until(async () => (await gauge("teacher_item_memory_used_bytes")) === 0);
    assert.equal(await gauge("teacher_waiting_items"), 0);
    assert.equal(await gauge("teacher_queued_positions"), 0);
  });

  it("writes every sequence that it let in to its end, in however many drafts", async () => {
    const [sequences, maxResponse] = [16, 128];
    const stream = new TeacherStream<InterleaveRequest, InterleaveResponse__Output>(
      server.client.interleave(),
    );
    const draftAt = (sequence: number, start: number) =>
      stream.send({ drafts: [{ sequence, start, replacementsSeen: 0, tokens: u32([5]) }] });
    const opens = Array.from({ length: sequences }, (_, sequence) => ({
      sequence,
      prompt: u32([1, 2, sequence]),
      maxResponse,
      rule: { rank: VOCABULARY },
    }));
    stream.send({ opens });
    for (const { sequence } of opens) draftAt(sequence, 0);
    let finished = 0;
    while (finished < sequences) {
      const answer = await stream.next();
      assert.deepEqual(answer?.errors, []);
      for (const { sequence, start, accepted, finish } of answer?.verdicts ?? []) {
        assert.equal(accepted, 1);
        if (finish === "FINISH_LENGTH") finished++;
        else draftAt(sequence, start + 1);
      }
    }
    await stream.finish();
    await until(async () => (await gauge("teacher_item_memory_used_bytes")) === 0);
  });

  it("lives through all kinds of work in all sizes, below its limit, and loses no answer", async () => {
    const load = { server, vocabSize: VOCABULARY, contextLength: CONTEXT };
    const outcome = await fuzzLoad({ ...load, seed: 20261122, clients: 8, items: 48 });
    assert.equal(outcome.lost, 0);
    assert.ok(outcome.results > 0 && (outcome.errors["ERROR_CODE_RESOURCE_EXHAUSTED"] ?? 0) > 0);
    assert.ok(!server.logs.some(({ event }) => event === "engine.lost" || event === "step.failed"));
    const { pid } = server.process;
    const peakBytes = peakOf(pid as number) + peakOf(server.enginePid());
    assert.ok(peakBytes < limitBytes, `${peakBytes} of ${limitBytes}`);
    await until(async () => (await gauge("teacher_item_memory_used_bytes")) === 0);
    assert.equal(await gauge("teacher_open_sequences"), 0);
  });
});
