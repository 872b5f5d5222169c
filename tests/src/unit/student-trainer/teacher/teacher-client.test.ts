import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import type { SequenceRequest } from "@tandem/student-trainer/teacher/teacher-sequence.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import {
  TEACHER_DEFAULTS,
  type TeacherEvent,
  type TeacherOptions,
} from "@tandem/student-trainer/teacher/teacher-options.js";

import { startScriptedTeacher } from "../../../helpers/scripted-teacher.js";

function optionsFor(...addresses: string[]): TeacherOptions & { readonly events: TeacherEvent[] } {
  const events: TeacherEvent[] = [];
  return {
    ...TEACHER_DEFAULTS,
    addresses,
    retryTimeoutMs: 1_000,
    random: () => 0,
    onEvent: (event) => events.push(event),
    events,
  };
}

const SEQUENCE: SequenceRequest = {
  runSeed: 0,
  rngKey: 0,
  prompt: Uint32Array.of(1),
  maxResponse: 4,
  stopIds: [],
  rule: { kind: "greedy" },
  sampling: { temperature: 0, topK: 0, topP: 1 },
  signal: NO_SIGNAL,
};

/** Nothing listens on the port that a server has just given back. */
async function deadAddress(): Promise<string> {
  const server = await startScriptedTeacher();
  await server.close();
  return server.address;
}

describe("TeacherClient", () => {
  it("retries a teacher that does not answer, then says where it looked and how long", async () => {
    const address = await deadAddress();
    const options = optionsFor(address);
    await assert.rejects(TeacherClient.connect(options), {
      code: "UNAVAILABLE",
      message: new RegExp(`no teacher at ${address} within 1000 ms \\(teacher.retryTimeoutMs\\)`),
    });
    assert.ok(options.events.filter(({ kind }) => kind === "retry").length >= 2);
  });

  it("goes to the next address of a list", async () => {
    const server = await startScriptedTeacher();
    const options = optionsFor(await deadAddress(), server.address);
    const client = await TeacherClient.connect({ ...options, retryTimeoutMs: 10_000 });
    assert.equal(client.description.model, "toy");
    client.close();
    await server.close();
  });

  it("refuses to go on with another teacher than the one it began with", async () => {
    const first = await startScriptedTeacher();
    const client = await TeacherClient.connect({
      ...optionsFor(first.address),
      retryTimeoutMs: 5_000,
    });
    const port = Number(first.address.split(":")[1]);
    await first.close();
    const second = await startScriptedTeacher({ weightsDigest: "sha256:other" }, port);
    const sequence = client.openSequence(SEQUENCE);
    await assert.rejects(
      sequence.draft({ start: 0, replacementsSeen: 0, tokens: Uint32Array.of(1) }),
      { code: "FAILED_PRECONDITION", message: /sha256:other.*sha256:toy/ },
    );
    client.close();
    await second.close();
  });

  it("settles what is pending when it is closed", async () => {
    const server = await startScriptedTeacher({ delayMs: () => 10_000 });
    const client = await TeacherClient.connect(optionsFor(server.address));
    const sequence = client.openSequence(SEQUENCE);
    const answer = sequence.draft({ start: 0, replacementsSeen: 0, tokens: Uint32Array.of(1) });
    setTimeout(() => client.close(), 50);
    await assert.rejects(answer, { code: "CANCELLED" });
    await server.close();
  });

  it("gives a replica that says it is healthy and answers nothing hardly anything: the others do the work", async () => {
    const everything = new Map(
      Array.from({ length: 10_000 }, (_, n) => [n, "UNAVAILABLE" as const]),
    );
    const broken = await startScriptedTeacher({ failAt: everything });
    const sound = await startScriptedTeacher();
    const options = { ...optionsFor(broken.address, sound.address), retryTimeoutMs: 30_000 };
    const client = await TeacherClient.connect(options);
    const block = { start: 0, replacementsSeen: 0, tokens: Uint32Array.of(1) };
    const write = async (rngKey: number) => {
      const sequence = client.openSequence({ ...SEQUENCE, rngKey });
      const answer = await sequence.draft(block);
      sequence.close();
      return answer.kind;
    };
    for (let round = 0; round < 40; round++) {
      const kinds = await Promise.all(Array.from({ length: 10 }, (_, i) => write(10 * round + i)));
      assert.ok(kinds.every((kind) => kind === "verdict"));
    }
    assert.equal(sound.counts.drafts, 400);
    // The half of the first round, and a trial now and then; without a breaker every draft would be tried there.
    assert.ok(broken.counts.drafts < 100, `${broken.counts.drafts} drafts went to the broken one`);
    client.close();
    await Promise.all([broken.close(), sound.close()]);
  });

  it("keeps repeats to an overloaded teacher within its budget", async () => {
    const server = await startScriptedTeacher({ refuseScores: true });
    const client = await TeacherClient.connect({
      ...optionsFor(server.address),
      retryTimeoutMs: 2_000,
    });
    const began = performance.now();
    const question = { tokens: Uint32Array.of(1, 2), from: 1, signal: { ...NO_SIGNAL, lse: true } };
    const asked = Array.from({ length: 60 }, () => client.score(question));
    const ends = await Promise.allSettled(asked);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(ends.every(({ status }) => status === "rejected"));
    // Nothing is answered: 20 at once and ten a second, beside the first of each. Alone, each would have been repeated some five times.
    const repeats = server.counts.scores - 60;
    assert.ok(repeats > 0 && repeats <= 20 + 10 * seconds + 1, `${repeats} in ${seconds} s`);
    client.close();
    await server.close();
  });
});
