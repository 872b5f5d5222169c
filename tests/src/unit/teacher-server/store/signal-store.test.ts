import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { createLogger } from "@tandem/shared/telemetry/logger.js";
import type { EncodedFrame } from "@tandem/teacher-server/scheduler/engine-step.js";
import { LmdbTier } from "@tandem/teacher-server/store/lmdb-tier.js";
import { MemoryTier } from "@tandem/teacher-server/store/memory-tier.js";
import { SignalStore } from "@tandem/teacher-server/store/signal-store.js";
import type { StoreTier } from "@tandem/teacher-server/store/store-tier.js";
import { fromStoredBytes, toStoredBytes } from "@tandem/teacher-server/store/stored-frames.js";

const logger = createLogger({ name: "test", level: "silent", format: "json" });

function frameOf(byte: number, sizeBytes = 100): EncodedFrame {
  return {
    message: { from: byte, count: 1, compact: { frame: Buffer.alloc(sizeBytes, byte) } },
    sizeBytes,
  };
}

function keyOf(byte: number): Buffer {
  return Buffer.alloc(32, byte);
}

/** What matters of frames that went through bytes. */
function show(frames: readonly EncodedFrame[] | undefined): unknown {
  return frames?.map(({ message, sizeBytes }) => [
    message.from,
    message.compact?.frame?.toString(),
    sizeBytes,
  ]);
}

/** A tier that is a map, with what was done to it. */
class MapTier implements StoreTier {
  readonly name = "redis";
  readonly values = new Map<string, Buffer>();

  readonly get = (key: Buffer): Promise<Buffer | undefined> =>
    Promise.resolve(this.values.get(key.toString("hex")));

  readonly put = (key: Buffer, value: Buffer): void => {
    this.values.set(key.toString("hex"), value);
  };

  readonly close = (): Promise<void> => Promise.resolve();
}

describe("stored frames", () => {
  it("come back as they were", () => {
    const frames = [frameOf(1), frameOf(2, 3), frameOf(3, 70_000)];
    assert.deepEqual(show(fromStoredBytes(toStoredBytes(frames))), show(frames));
    assert.deepEqual(fromStoredBytes(toStoredBytes([])), []);
  });

  it("are refused with any byte changed and cut off anywhere", () => {
    const bytes = toStoredBytes([frameOf(7, 40), frameOf(8, 5)]);
    for (let i = 0; i < bytes.length; i++) {
      const damaged = Buffer.from(bytes);
      damaged[i] = (damaged[i] as number) ^ 0x10;
      assert.equal(fromStoredBytes(damaged), undefined, `byte ${i}`);
      assert.equal(fromStoredBytes(bytes.subarray(0, i)), undefined, `first ${i} bytes`);
    }
  });
});

describe("bytes of somebody else", () => {
  it("are refused even if their checksum is right", () => {
    for (const [count, rest] of [
      [1, Buffer.from("no message at all")],
      [2 ** 31, Buffer.alloc(0)],
      [0, Buffer.from([0xff, 0xff, 0xff])],
    ] as const) {
      const bytes = Buffer.alloc(12 + rest.length);
      bytes.write("TSF1");
      bytes.writeUInt32LE(count, 8);
      rest.copy(bytes, 12);
      bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
      assert.equal(fromStoredBytes(bytes), undefined);
    }
  });
});

describe("MemoryTier", () => {
  it("keeps what was used last within its bytes", () => {
    // 100 bytes, with 512 for the entry and 256 for its frame.
    const memory = new MemoryTier(2 * 868);
    memory.put("a", [frameOf(1)]);
    memory.put("b", [frameOf(2)]);
    memory.get("a");
    memory.put("c", [frameOf(3)]);
    assert.deepEqual(
      ["a", "b", "c"].map((key) => memory.get(key) !== undefined),
      [true, false, true],
    );
    assert.equal(memory.usedBytes, 2 * 868);
  });

  it("does not take what is larger than all of it", () => {
    const memory = new MemoryTier(867);
    memory.put("a", [frameOf(1)]);
    assert.deepEqual([memory.get("a"), memory.usedBytes], [undefined, 0]);
  });

  it("does not take answers without frames for nothing", () => {
    const memory = new MemoryTier(10 * 512);
    for (let i = 0; i < 1000; i++) memory.put(`${i}`, []);
    assert.equal(memory.usedBytes, 10 * 512);
    assert.deepEqual([memory.get("989"), memory.get("990")], [undefined, []]);
  });
});

describe("SignalStore", () => {
  function storeOf(memoryBytes: number, tiers: readonly StoreTier[]) {
    const seen: string[] = [];
    const observer = {
      onLookup: (outcome: string) => seen.push(outcome),
      onCorrupt: (tier: string) => seen.push(`corrupt ${tier}`),
    };
    return { store: new SignalStore({ memoryBytes, tiers, observer }), seen };
  }

  it("asks memory, then the slower places, and remembers what it finds", async () => {
    const tier = new MapTier();
    const first = storeOf(1000, [tier]);
    first.store.put(keyOf(1), [frameOf(1)]);
    const { store, seen } = storeOf(1000, [tier]);
    assert.deepEqual(show(await store.get(keyOf(1))), show([frameOf(1)]));
    assert.deepEqual(show(await store.get(keyOf(1))), show([frameOf(1)]));
    assert.equal(await store.get(keyOf(2)), undefined);
    assert.deepEqual(seen, ["redis", "memory", "miss"]);
  });

  it("takes damaged bytes for nothing", async () => {
    const tier = new MapTier();
    const { store, seen } = storeOf(0, [tier]);
    store.put(keyOf(1), [frameOf(1)]);
    const bytes = tier.values.get(keyOf(1).toString("hex")) as Buffer;
    bytes[20] = (bytes[20] as number) ^ 1;
    assert.equal(await store.get(keyOf(1)), undefined);
    assert.deepEqual(seen, ["corrupt redis", "miss"]);
  });
});

describe("LmdbTier", () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), "tandem-store-"));
  });
  after(() => rmSync(dir, { recursive: true }));

  function openIn(name: string, limitBytes = 1 << 24): Promise<LmdbTier> {
    return LmdbTier.open({ path: join(dir, name), limitBytes, logger });
  }

  it("has after a restart what was put before it", async () => {
    const tier = await openIn("restart");
    for (let i = 0; i < 40; i++) tier.put(keyOf(i), Buffer.alloc(100 * i, i));
    await tier.close();
    const again = await openIn("restart");
    for (let i = 0; i < 40; i++)
      assert.deepEqual(await again.get(keyOf(i)), Buffer.alloc(100 * i, i));
    assert.equal(await again.get(keyOf(99)), undefined);
    assert.equal(again.usedBytes, tier.usedBytes);
    await again.close();
  });

  it("drops what was used longest ago when it is full, also of an earlier process", async () => {
    // A value of 3,000 bytes takes a page and the overhead of an entry: five fit into eleven sixteenths.
    const entries = 5 * (4096 + 160);
    const limit = Math.ceil((16 / 11) * entries);
    const first = await openIn("budget", limit);
    for (let i = 0; i < 5; i++) first.put(keyOf(i), Buffer.alloc(3000, i));
    await first.close();
    const tier = await openIn("budget", limit);
    assert.equal(tier.usedBytes, entries);
    assert.ok(await tier.get(keyOf(0)), "used again, so that 1 is the oldest");
    tier.put(keyOf(5), Buffer.alloc(3000, 5));
    tier.put(keyOf(6), Buffer.alloc(3000, 6));
    await tier.close();
    const last = await openIn("budget", limit);
    const kept: number[] = [];
    for (let i = 0; i < 7; i++) if ((await last.get(keyOf(i))) !== undefined) kept.push(i);
    assert.deepEqual(kept, [0, 3, 4, 5, 6]);
    assert.equal(last.usedBytes, entries);
    await last.close();
  });

  it("keeps the file within its bytes, however fast and large entries come", async () => {
    const limit = 16 << 20;
    const tier = await openIn("bounded", limit);
    const file = join(dir, "bounded", "signals.mdb");
    let largest = 0;
    for (let i = 0; i < 1500; i++) {
      const key = Buffer.alloc(32);
      key.writeUInt32LE(i);
      tier.put(key, Buffer.alloc(1000 + ((i * 7919) % 200_000), i));
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      largest = Math.max(largest, statSync(file).size);
    }
    await tier.close();
    largest = Math.max(largest, statSync(file).size);
    assert.ok(tier.usedBytes > 0.6 * limit, `${tier.usedBytes} of ${limit} bytes are used`);
    assert.ok(largest <= limit, `the file had ${largest} of ${limit} bytes`);
  });

  it("drops what is too much for a smaller limit when it is opened", async () => {
    const tier = await openIn("smaller");
    for (let i = 0; i < 20; i++) tier.put(keyOf(i), Buffer.alloc(3000, i));
    await tier.close();
    const smaller = await openIn("smaller", Math.ceil((16 / 11) * 3 * (4096 + 160)));
    await smaller.close();
    assert.equal(smaller.usedBytes, 3 * (4096 + 160));
    const again = await openIn("smaller");
    assert.deepEqual(
      await Promise.all([16, 17, 19].map(async (i) => (await again.get(keyOf(i)))?.[0])),
      [undefined, 17, 19],
    );
    await again.close();
  });

  it("is refused to a second process until the first one is gone, killed or not", async () => {
    const child = fileURLToPath(new URL("./store-owner-child.js", import.meta.url));
    const owner = spawn(process.execPath, [child, join(dir, "owned")], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    await once(owner, "message");
    await assert.rejects(openIn("owned"), {
      code: "FAILED_PRECONDITION",
      message: new RegExp(`process ${owner.pid} uses it`),
    });
    owner.kill("SIGKILL");
    await once(owner, "exit");
    const tier = await openIn("owned");
    assert.deepEqual(await tier.get(keyOf(1)), Buffer.from("mine"));
    await tier.close();
  });

  it("counts an entry that is put twice once", async () => {
    const tier = await openIn("twice");
    tier.put(keyOf(1), Buffer.alloc(10, 1));
    tier.put(keyOf(1), Buffer.alloc(10, 1));
    await tier.close();
    const again = await openIn("twice");
    again.put(keyOf(1), Buffer.alloc(10, 1));
    await again.close();
    assert.equal(again.usedBytes, 4096 + 160);
  });

  it("begins anew when its file was cut off or is none", async () => {
    const tier = await openIn("damaged");
    for (let i = 0; i < 20; i++) tier.put(keyOf(i), Buffer.alloc(20_000, i));
    await tier.close();
    const file = join(dir, "damaged", "signals.mdb");
    const whole = readFileSync(file);
    for (const length of [0, 100, 5000, Math.floor(whole.length / 2 / 4096) * 4096]) {
      writeFileSync(file, whole);
      truncateSync(file, length);
      const cut = await openIn("damaged");
      assert.equal(await cut.get(keyOf(1)), undefined, `cut to ${length}`);
      cut.put(keyOf(1), Buffer.from("new"));
      await cut.close();
      const again = await openIn("damaged");
      assert.deepEqual(await again.get(keyOf(1)), Buffer.from("new"));
      await again.close();
    }
    writeFileSync(file, "this is no database at all ".repeat(1000));
    const other = await openIn("damaged");
    assert.equal(await other.get(keyOf(1)), undefined);
    await other.close();
    assert.ok(statSync(file).size > 0);
  });

  it("goes on without what a full disk does not take", async () => {
    const child = fileURLToPath(new URL("./full-disk-child.js", import.meta.url));
    // 400 KiB: blocks of 512 bytes.
    const limited = spawn(
      "sh",
      ["-c", `ulimit -f 800; exec "$0" "$@"`, process.execPath, child, join(dir, "full")],
      {
        stdio: ["ignore", "inherit", "ignore", "ipc"],
      },
    );
    const [answer] = (await once(limited, "message")) as [[number, number, number]];
    const [code] = (await once(limited, "exit")) as [number];
    const [found, wrong, warnings] = answer;
    assert.deepEqual([wrong, code], [0, 0]);
    assert.ok(found > 0 && found < 30, `${found} of 30 fit`);
    assert.equal(warnings, 1, "it tries again later, and says so once");
  });

  it("says which directory it cannot use", async () => {
    writeFileSync(join(dir, "file"), "");
    await assert.rejects(openIn("file"), { code: "FAILED_PRECONDITION", field: "storePath" });
  });

  it("finds nothing and takes nothing once it is closed", async () => {
    const tier = await openIn("closed");
    await tier.close();
    tier.put(keyOf(1), Buffer.from("late"));
    assert.equal(await tier.get(keyOf(1)), undefined);
    await tier.close();
  });
});
