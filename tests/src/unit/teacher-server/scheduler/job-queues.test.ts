import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JobQueues } from "@tandem/teacher-server/scheduler/job-queues.js";
import { QueuedJob } from "@tandem/teacher-server/scheduler/queued-job.js";
import { jobOf, type JobWish } from "./job-of.js";

function queuesOf(perClient = 2): JobQueues {
  const tierOf = ({ priority }: { priority: string }) => (priority === "high" ? 0 : 1);
  return new JobQueues({ tierOf, stepTokens: 10, perClient });
}

function queued(wish: JobWish): QueuedJob {
  return new QueuedJob(jobOf(wish));
}

function idsOf(jobs: readonly QueuedJob[]): number[] {
  return jobs.map(({ job }) => job.id);
}

const nobody = () => false;

describe("JobQueues", () => {
  it("names the next ones of each client, short before long, then by arrival", () => {
    const queues = queuesOf(3);
    for (const [id, laws] of [
      [1, 25],
      [2, 8],
      [3, 12],
      [4, 10],
      [5, 30],
    ] as const)
      queues.add(queued({ id, laws }));
    queues.add(queued({ id: 6, client: 2, laws: 90 }));
    const { jobs, cut } = queues.next(1, nobody);
    assert.deepEqual([idsOf(jobs), [...cut]], [[2, 4, 3, 6], [1]]);
    assert.deepEqual(idsOf(queues.next(1, (client) => client === 1).jobs), [6]);
    assert.deepEqual(idsOf(queues.next(0, nobody).jobs), []);
  });

  it("forgets what is removed, and tiers and clients with it", () => {
    const queues = queuesOf();
    const [a, b] = [queued({ id: 1 }), queued({ id: 2, client: 2, priority: "high" })];
    queues.add(a);
    queues.add(b);
    assert.deepEqual(
      [queues.tiers(), idsOf(queues.clients())],
      [
        [0, 1],
        [1, 2],
      ],
    );
    queues.remove(a);
    queues.remove(a);
    assert.deepEqual([queues.tiers(), idsOf(queues.clients())], [[0], [2]]);
    queues.clear();
    assert.deepEqual(queues.tiers(), []);
  });

  it("finds those of the less urgent tiers that came too long ago, oldest first", () => {
    const queues = queuesOf();
    queues.add(queued({ id: 1, priority: "high", arrivedMs: 0 }));
    queues.add(queued({ id: 2, client: 2, laws: 40, arrivedMs: 3 }));
    queues.add(queued({ id: 3, client: 2, laws: 5, arrivedMs: 4 }));
    queues.add(queued({ id: 4, client: 3, laws: 5, arrivedMs: 2 }));
    queues.add(queued({ id: 5, client: 3, laws: 5, arrivedMs: 6 }));
    assert.deepEqual(idsOf(queues.late(5, nobody).jobs), [4, 2, 3]);
    assert.deepEqual(idsOf(queues.late(1, nobody).jobs), []);
  });
});
