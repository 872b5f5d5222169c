import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it } from "node:test";

import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import type { ScoreAnswer } from "@tandem/student-trainer/teacher/score-stream.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import {
  TEACHER_DEFAULTS,
  type TeacherEvent,
  type TeacherOptions,
} from "@tandem/student-trainer/teacher/teacher-options.js";

import { startChaosProxy, type ChaosProxy } from "../../helpers/chaos-proxy.js";
import { mulberry32 } from "../../helpers/mulberry32.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";

const MODEL = fixtureModel("llama-tied");
const events: TeacherEvent[] = [];

function connect(addresses: readonly string[], options: Partial<TeacherOptions> = {}) {
  return TeacherClient.connect({
    ...TEACHER_DEFAULTS,
    addresses,
    random: mulberry32(1),
    onEvent: (event) => events.push(event),
    ...options,
  });
}

/** The laws of rows of different lengths, all but the first of each. */
async function ask(teacher: TeacherClient, count: number): Promise<ScoreAnswer["signal"][]> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      teacher.score({
        tokens: Uint32Array.from({ length: 30 + (i % 30) }, (__, t) => (7 * i + 13 * t) % 97),
        from: 1,
        signal: { ...NO_SIGNAL, topK: 4, token: true },
      }),
    ),
  );
  return answers.map(({ signal }) => signal);
}

async function itemsOf(server: LiveServer): Promise<number> {
  const text = await (await fetch(`http://${server.httpAddress}/metrics`)).text();
  return Number(/^teacher_items_total\{method="Score",code="OK"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

describe("replicas of a teacher", { timeout: 120_000 }, () => {
  let first: LiveServer;
  let second: LiveServer;
  let proxy: ChaosProxy;
  let calm: ScoreAnswer["signal"][];

  before(async () => {
    [first, second] = await Promise.all([
      startLiveServer({ model: MODEL, args: ["--max-num-batched-tokens", "64"] }),
      startLiveServer({ model: MODEL, args: ["--max-num-batched-tokens", "64"] }),
    ]);
    proxy = await startChaosProxy({ target: second.grpcAddress, random: mulberry32(2) });
    const teacher = await connect([first.grpcAddress]);
    calm = await ask(teacher, 60);
    teacher.close();
  });
  after(async () => {
    await proxy?.close();
    await Promise.all([first?.stop(), second?.stop()]);
  });

  it("share the questions, and their answers have the same bits", async () => {
    const before = [await itemsOf(first), await itemsOf(second)] as const;
    const teacher = await connect([first.grpcAddress, second.grpcAddress]);
    assert.deepEqual(await ask(teacher, 60), calm);
    teacher.close();
    assert.equal((await itemsOf(first)) - before[0], 30);
    assert.equal((await itemsOf(second)) - before[1], 30);
  });

  it("are found behind a name, also when they come later", async () => {
    const port = first.grpcAddress.split(":")[1] ?? "";
    const late = await startLiveServer({
      model: MODEL,
      args: ["--host", "127.0.0.2", "--port", port],
    });
    const asked: string[] = [];
    const teacher = await connect([`dns:///teachers.test:${port}`], {
      resolve: async (host) => {
        asked.push(host);
        return asked.length === 1 ? ["127.0.0.1"] : ["127.0.0.1", "127.0.0.2"];
      },
    });
    assert.deepEqual(await ask(teacher, 60), calm);
    assert.equal(await itemsOf(late), 0);
    // Names are looked up again every five seconds.
    while ((await itemsOf(late)) === 0) {
      assert.deepEqual(await ask(teacher, 60), calm);
      await delay(100);
    }
    teacher.close();
    assert.ok(asked.length >= 2 && asked.every((host) => host === "teachers.test"));
    await late.stop();
  });

  it("are found behind a name of the system", async () => {
    const port = first.grpcAddress.split(":")[1] ?? "";
    const teacher = await connect([`dns:///localhost:${port}`]);
    assert.deepEqual(await ask(teacher, 60), calm);
    teacher.close();
  });

  it("are asked a second time when the first one takes long", async () => {
    const teacher = await connect([proxy.address, first.grpcAddress], { hedgeAfterMs: 100 });
    // Long enough for all questions, shorter than what a connection is given up after.
    proxy.blackHole(8_000);
    const began = performance.now();
    assert.deepEqual(await ask(teacher, 20), calm.slice(0, 20));
    assert.ok(performance.now() - began < 7_500, "nobody waited for the one that is silent");
    teacher.close();
  });

  it("are refused with the difference named when they are none", async () => {
    const other = await startLiveServer({ model: fixtureModel("qwen3") });
    await assert.rejects(connect([first.grpcAddress, other.grpcAddress]), {
      code: "FAILED_PRECONDITION",
      message: /is not the one the run began with .*weights sha256:\S+ instead of sha256:/,
    });
    await other.stop();
  });

  it("can be drained one after the other under load: nothing is lost, nothing fails", async () => {
    const args = ["--max-num-batched-tokens", "64"];
    let leaving = await startLiveServer({ model: MODEL, args });
    const port = leaving.grpcAddress.split(":")[1] ?? "";
    const teacher = await connect([leaving.grpcAddress, second.grpcAddress]);
    let isOver = false;
    const work = (async () => {
      let rounds = 0;
      while (!isOver) {
        assert.deepEqual(await ask(teacher, 60), calm);
        rounds++;
      }
      return rounds;
    })();
    await delay(100);
    assert.equal(await leaving.stop(), 0);
    leaving = await startLiveServer({ model: MODEL, args: [...args, "--port", port] });
    while ((await itemsOf(leaving)) === 0) await delay(20);
    isOver = true;
    assert.ok((await work) > 0);
    teacher.close();
    await leaving.stop();
  });
});
