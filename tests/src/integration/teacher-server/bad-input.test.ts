import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  Client,
  compressionAlgorithms,
  credentials,
  status,
  type ClientOptions,
  type Metadata,
} from "@grpc/grpc-js";
import type { ErrorCode__Output } from "@tandem/proto/gen/tandem/v1/ErrorCode.js";
import type { InterleaveRequest } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";

const good: ScoreItem = { id: 1, tokens: u32([1, 2, 3]), from: 1, signal: { topK: 2 } };
const open = { sequence: 1, prompt: u32([1, 2]), maxResponse: 5 };

const scoreFaults: readonly (readonly [string, ScoreItem, ErrorCode__Output, string])[] = [
  [
    "a token id outside the vocabulary",
    { ...good, tokens: u32([1, 97]) },
    "ERROR_CODE_INVALID_ARGUMENT",
    "items.tokens",
  ],
  ["an empty prompt", { ...good, tokens: u32([]) }, "ERROR_CODE_INVALID_ARGUMENT", "items.tokens"],
  [
    "more than the context holds",
    { ...good, tokens: u32(Array(129).fill(1)) },
    "ERROR_CODE_OUT_OF_RANGE",
    "items.tokens",
  ],
  [
    "a top list above the limit",
    { ...good, signal: { topK: 98 } },
    "ERROR_CODE_INVALID_ARGUMENT",
    "items.signal.top_k",
  ],
  [
    "an encoding that is not there",
    { ...good, signal: { topK: 1, encoding: 9 as never } },
    "ERROR_CODE_INVALID_ARGUMENT",
    "items.signal.encoding",
  ],
  [
    "bytes that are no ids",
    { ...good, tokens: Buffer.of(1, 2, 3) },
    "ERROR_CODE_DATA_LOSS",
    "items.tokens",
  ],
];

const drafts = (tokens: readonly number[], change: object = {}) => [
  { sequence: 1, start: 0, tokens: u32(tokens), ...change },
];
const interleaveFaults: readonly (readonly [string, InterleaveRequest, ErrorCode__Output])[] = [
  ["a draft for an unknown sequence", { drafts: drafts([1]) }, "ERROR_CODE_NOT_FOUND"],
  ["an empty prompt", { opens: [{ ...open, prompt: u32([]) }] }, "ERROR_CODE_INVALID_ARGUMENT"],
  [
    "a sequence longer than the context",
    { opens: [{ ...open, maxResponse: 127 }] },
    "ERROR_CODE_OUT_OF_RANGE",
  ],
  ["a sequence that is open", { opens: [open, open] }, "ERROR_CODE_ALREADY_EXISTS"],
  [
    "a draft id outside the vocabulary",
    { opens: [open], drafts: drafts([97]) },
    "ERROR_CODE_INVALID_ARGUMENT",
  ],
  [
    "a block that is too long",
    { opens: [open], drafts: drafts(Array(65).fill(1)) },
    "ERROR_CODE_INVALID_ARGUMENT",
  ],
  [
    "a draft behind a gap",
    { opens: [open], drafts: drafts([1], { start: 3 }) },
    "ERROR_CODE_FAILED_PRECONDITION",
  ],
  [
    "a rule that accepts nothing",
    { opens: [{ ...open, rule: { rank: 0 } }] },
    "ERROR_CODE_INVALID_ARGUMENT",
  ],
];

describe("bad input to a running teacher-server", { timeout: 180_000 }, () => {
  let server: LiveServer;
  before(async () => {
    server = await startLiveServer({ model: fixtureModel("llama-tied") });
  });
  after(async () => {
    assert.equal(await server.stop(), 0);
  });

  /** The server answers, with the process it began with. */
  async function assertAlive(): Promise<void> {
    const stream = new TeacherStream(server.client.score());
    stream.send({ items: [good] });
    assert.equal((await stream.next())?.results[0]?.last, true);
    await stream.finish();
    assert.equal(server.process.exitCode, null);
    assert.equal(server.logs.filter(({ event }) => event === "engine.started").length, 1);
  }

  for (const [what, item, code, field] of scoreFaults) {
    it(`answers ${what} in-band, and the next item of the stream as usual`, async () => {
      const stream = new TeacherStream(server.client.score());
      stream.send({ items: [item] });
      const error = (await stream.next())?.errors[0];
      assert.deepEqual([error?.id, error?.code, error?.field], [1, code, field]);
      stream.send({ items: [good] });
      assert.equal((await stream.next())?.results[0]?.last, true);
      await stream.finish();
    });
  }

  it("says in few words what is wrong with many", async () => {
    const stream = new TeacherStream(server.client.score());
    // A byte each on the wire.
    const hiddenLayers = Array<number>(1_000_000).fill(1);
    stream.send({ items: [{ ...good, signal: { hiddenLayers } }] });
    const error = (await stream.next())?.errors[0];
    assert.equal(error?.reason, "items.signal.hidden_layers names layer 1 twice");
    await stream.finish();
  });

  for (const [what, request, code] of interleaveFaults) {
    it(`answers ${what} in-band, and the stream goes on`, async () => {
      const stream = new TeacherStream(server.client.interleave());
      stream.send(request);
      const error = (await stream.next())?.errors[0];
      assert.deepEqual([error?.id, error?.code], [1, code], error?.reason);
      stream.send({
        opens: [{ ...open, sequence: 2 }],
        drafts: [{ sequence: 2, start: 0, tokens: u32([4]) }],
      });
      assert.equal((await stream.next())?.verdicts[0]?.sequence, 2);
      await stream.finish();
    });
  }

  it("ends a Generate call that asks for the impossible with its status and the details in the trailer", async () => {
    const call = server.client.generate({
      items: [{ sequence: 1, prompt: u32([1]) }],
      maxResponse: 0,
    });
    const error = await new Promise<Error & { code: number; metadata: Metadata }>((resolve) =>
      call.on("error", resolve as () => void),
    );
    assert.equal(error.code, status.INVALID_ARGUMENT);
    const detail = error.metadata.get("tandem-error-bin")[0];
    assert.ok(Buffer.isBuffer(detail) && detail.includes("max_response"));
    await assertAlive();
  });

  /** How a Score stream ends that sends these bytes as one message. */
  async function codeOf(bytes: Buffer, options: ClientOptions = {}): Promise<number> {
    const raw = new Client(server.grpcAddress, credentials.createInsecure(), options);
    const call = raw.makeBidiStreamRequest(
      "/tandem.v1.Teacher/Score",
      (message: Buffer) => message,
      (message: Buffer) => message,
    );
    call.on("data", () => {});
    const code = new Promise<number>((resolve) =>
      call.on("error", (error) => resolve((error as Error & { code: number }).code)),
    );
    call.write(bytes);
    const ended = await code;
    raw.close();
    return ended;
  }

  it("ends a stream on bytes that are no message, and lives", async () => {
    assert.equal(await codeOf(Buffer.from("ffffffffffff", "hex")), status.DATA_LOSS);
    // The tokens of an item announce nine bytes and have none: sound outside, broken inside.
    assert.equal(await codeOf(Buffer.from("0a021209", "hex")), status.INVALID_ARGUMENT);
    await assertAlive();
  });

  it("does not unfold half a million empty items, nor groups within groups", async () => {
    const items = Buffer.alloc(1 << 20, Buffer.from("0a00", "hex"));
    assert.equal(await codeOf(items), status.INVALID_ARGUMENT);
    assert.equal(await codeOf(Buffer.alloc(1 << 20, 0x0b)), status.DATA_LOSS);
    await assertAlive();
  });

  it("does not unpack a small message into one over the limit", async () => {
    // 64 MiB of zeros in 64 KiB.
    const options = { "grpc.default_compression_algorithm": compressionAlgorithms.gzip };
    assert.equal(await codeOf(Buffer.alloc(64 << 20), options), status.RESOURCE_EXHAUSTED);
    await assertAlive();
  });

  it("refuses a message over the limit, and lives", async () => {
    const stream = new TeacherStream(server.client.score());
    stream.send({ items: [{ ...good, tokens: Buffer.alloc((1 << 20) + 64) }] });
    await assert.rejects(stream.next(), { code: status.RESOURCE_EXHAUSTED });
    await assertAlive();
  });

  it("forgets a client that vanishes in the middle of its work, and frees its memory", async () => {
    const scoring = new TeacherStream(server.client.score());
    scoring.send({
      items: Array.from({ length: 300 }, (_, id) => ({
        ...good,
        id,
        tokens: u32([id % 97, id >> 4, ...Array<number>(118).fill(3)]),
      })),
    });
    await scoring.next();
    const writing = new TeacherStream(server.client.interleave());
    writing.send({ opens: [open], drafts: drafts([3, 4]) });
    await writing.next();
    scoring.call.on("error", () => {});
    writing.call.on("error", () => {});
    scoring.call.cancel();
    writing.call.cancel();
    await assertAlive();
    const metrics = await (await fetch(`http://${server.httpAddress}/metrics`)).text();
    for (const gauge of [
      "teacher_waiting_items 0",
      "teacher_open_sequences 0",
      "teacher_open_streams 0",
      "teacher_kv_cache_used_bytes 0",
    ]) {
      assert.ok(metrics.includes(gauge), gauge);
    }
  });

  it("answers in-band what misses its deadline, or at once what would, and ends a call that misses its own", async () => {
    const stream = new TeacherStream(server.client.score());
    // All different: equal ones would be computed once.
    const many = Array.from({ length: 200 }, (_, id) => ({
      ...good,
      id,
      tokens: u32([id % 97, id >> 4, ...Array<number>(118).fill(3)]),
    }));
    stream.send({ items: [...many, { ...good, id: 999, timeoutMs: 1 }] });
    let late: ErrorCode__Output | undefined;
    while (late === undefined)
      late = (await stream.next())?.errors.find(({ id }) => id === 999)?.code;
    assert.match(late, /DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED/);
    const call = new TeacherStream(server.client.score({ deadline: Date.now() + 30 }));
    call.send({ items: many });
    await assert.rejects(
      async () => {
        while ((await call.next()) !== undefined);
      },
      { code: status.DEADLINE_EXCEEDED },
    );
    stream.call.on("error", () => {});
    stream.call.cancel();
    await assertAlive();
  });

  it("answers cancelled items and drafts with CANCELLED and goes on", async () => {
    const stream = new TeacherStream(server.client.score());
    stream.send({
      items: Array.from({ length: 50 }, (_, id) => ({
        ...good,
        id,
        tokens: u32([id, ...Array<number>(119).fill(3)]),
      })),
      cancel: [49],
    });
    const first = await stream.next();
    assert.deepEqual(
      first?.errors.map(({ id, code }) => [id, code]),
      [[49, "ERROR_CODE_CANCELLED"]],
    );
    stream.call.on("error", () => {});
    stream.call.cancel();

    const writing = new TeacherStream(server.client.interleave());
    writing.send({
      opens: [{ ...open, rule: { rank: 97 } }],
      drafts: [...drafts([3]), ...drafts([4], { start: 1 })],
      cancels: [1],
    });
    const errors = (await writing.next())?.errors ?? [];
    assert.deepEqual(
      errors.map(({ start, code }) => [start, code]),
      [
        [0, "ERROR_CODE_CANCELLED"],
        [1, "ERROR_CODE_CANCELLED"],
      ],
    );
    writing.send({ drafts: drafts([3]) });
    assert.equal((await writing.next())?.verdicts[0]?.accepted, 1);
    await writing.finish();
  });
});
