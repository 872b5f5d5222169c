import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import type { InterleaveRequest } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { InterleaveResponse__Output } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import type { Verdict__Output } from "@tandem/proto/gen/tandem/v1/Verdict.js";
import { check, healthClient } from "../../helpers/health-client.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { TeacherStream, u32 } from "../../helpers/teacher-stream.js";

type Stream = TeacherStream<InterleaveRequest, InterleaveResponse__Output>;

const BLOCKS = 9;

/** Sends a draft until it has a verdict; counts the answers UNAVAILABLE. */
async function judge(
  stream: Stream,
  draft: object,
): Promise<{ readonly verdict: Verdict__Output; readonly lost: number }> {
  for (let lost = 0; ; lost++) {
    stream.send({ drafts: [draft] });
    const answer = await stream.next();
    const verdict = answer?.verdicts[0];
    if (verdict !== undefined) return { verdict, lost };
    assert.deepEqual(
      answer?.errors.map(({ code }) => code),
      ["ERROR_CODE_UNAVAILABLE"],
    );
    await delay(50);
  }
}

/** Writes a sequence in blocks of three; calls `beforeBlock` with the number of each. */
async function write(
  server: LiveServer,
  beforeBlock: (block: number) => void,
): Promise<{ readonly verdicts: readonly Verdict__Output[]; readonly lost: number }> {
  const stream: Stream = new TeacherStream(server.client.interleave());
  stream.send({
    opens: [
      {
        sequence: 5,
        rngKey: 9,
        prompt: u32([1, 2, 3]),
        maxResponse: 60,
        rule: { rank: 40 },
        sampling: { temperature: 1 },
        signal: { topK: 7, token: true, moments: true },
        runSeed: 2,
      },
    ],
  });
  const verdicts: Verdict__Output[] = [];
  let start = 0;
  let replacementsSeen = 0;
  let lostDrafts = 0;
  for (let block = 0; block < BLOCKS; block++) {
    beforeBlock(block);
    const tokens = u32([(block * 31 + 4) % 97, (block * 7 + 11) % 97, (block * 3) % 97]);
    const { verdict, lost } = await judge(stream, { sequence: 5, start, replacementsSeen, tokens });
    verdicts.push({ ...verdict, usage: null });
    lostDrafts += lost;
    start += verdict.accepted + (verdict.replacement === undefined ? 0 : 1);
    replacementsSeen += verdict.replacement === undefined ? 0 : 1;
  }
  await stream.finish();
  return { verdicts, lost: lostDrafts };
}

describe("kill -9 of the engine process", { timeout: 180_000 }, () => {
  let server: LiveServer;
  let health: ReturnType<typeof healthClient>;
  before(async () => {
    server = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--max-num-batched-tokens", "16"],
    });
    health = healthClient(server.grpcAddress);
  });
  after(async () => {
    health.close();
    assert.equal(await server.stop(), 0);
  });

  it("costs no sequence anything: three times, with drafts in flight, the bits of every verdict are those of an undisturbed run", async () => {
    const calm = await write(server, () => {});
    assert.equal(calm.lost, 0);
    const disturbed = await write(server, (block) => {
      if (block % 3 === 1) process.kill(server.enginePid(), "SIGKILL");
    });
    assert.ok(disturbed.lost >= 3, `${disturbed.lost} drafts were answered UNAVAILABLE`);
    assert.deepEqual(disturbed.verdicts, calm.verdicts);
  });

  it("answers everything that was pending with UNAVAILABLE and turns the health until the engine is back", async () => {
    const seen: string[] = [];
    const watch = health.watch({ service: "tandem.v1.Teacher" });
    watch.on("error", () => {});
    const back = new Promise<void>((resolve) =>
      watch.on("data", ({ status }: { status: string }) => {
        seen.push(status);
        if (seen.length === 3) resolve();
      }),
    );
    while (seen.length === 0) await delay(10);
    const stream = new TeacherStream(server.client.score());
    const pending = new Set(Array.from({ length: 100 }, (_, id) => id));
    stream.send({
      items: [...pending].map((id) => ({
        id,
        tokens: u32([id % 97, id >> 4, ...Array<number>(98).fill(7)]),
        from: 1,
        signal: { token: true },
      })),
    });
    for (const { id, last } of (await stream.next())?.results ?? []) if (last) pending.delete(id);
    process.kill(server.enginePid(), "SIGKILL");
    const codes = new Set<string>();
    while (pending.size > 0) {
      const message = await stream.next();
      for (const { id, last } of message?.results ?? []) if (last) pending.delete(id);
      for (const { id, code } of message?.errors ?? []) {
        pending.delete(id);
        codes.add(code);
      }
    }
    assert.deepEqual([...codes], ["ERROR_CODE_UNAVAILABLE"]);
    await back;
    assert.deepEqual(seen, ["SERVING", "NOT_SERVING", "SERVING"]);
    assert.equal(await check(health, ""), "SERVING");
    watch.cancel();
    await stream.finish();
  });

  it("is not needed to end it: an engine whose server was killed ends by itself", async () => {
    const doomed = await startLiveServer({ model: fixtureModel("llama-tied") });
    const engine = doomed.enginePid();
    doomed.client.close();
    doomed.process.kill("SIGKILL");
    await doomed.exited;
    for (let i = 0; i < 200 && isAlive(engine); i++) await delay(50);
    assert.equal(isAlive(engine), false);
  });
});

/** Whether a process runs; one that has ended but whom nobody has waited for (containers without an init) does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const status = `/proc/${pid}/stat`;
  return !existsSync(status) || !readFileSync(status, "utf8").includes(") Z ");
}
