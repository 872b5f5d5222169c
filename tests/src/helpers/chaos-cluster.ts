import { setTimeout as delay } from "node:timers/promises";

import { unreachable } from "@tandem/shared/errors/invariant.js";

import { startChaosProxy, type ChaosProxy } from "./chaos-proxy.js";
import { startLiveServer, type LiveServer } from "./live-server.js";
import { MemoryGroup } from "./memory-group.js";

/** What is done to one replica, in the middle of its work. `drain` as a rolling change does it. */
export const FAULTS = [
  "kill",
  "drain",
  "kill-engine",
  "abort-engine",
  "cut",
  "black-hole",
  "mirror",
  "slow",
  "fast",
] as const;

/** Besides, with `memoryLimitBytes`: the kernel kills its engine for want of memory. */
export type Fault = (typeof FAULTS)[number] | "out-of-memory";

interface Member {
  server: LiveServer;
  readonly group: MemoryGroup | undefined;
  readonly proxy: ChaosProxy;
  /** Until the server is back or has its memory back; faults of the process wait for it. */
  comeback: Promise<void> | undefined;
}

/** Longer than a client with `keepaliveMs: 400` needs to notice. */
const BLACK_HOLE_MS = 1_500;
const SLOW_MS = 4;

/** Real teacher-server processes, each behind a bad network, that come back on their ports when they were killed. */
export class ChaosCluster {
  readonly faults: Record<string, number> = {};
  readonly #model: string;
  readonly #args: readonly string[];
  readonly #members: readonly Member[];

  private constructor(model: string, args: readonly string[], members: readonly Member[]) {
    this.#model = model;
    this.#args = args;
    this.#members = members;
  }

  static async start(options: {
    readonly model: string;
    readonly replicas: number;
    readonly random: () => number;
    readonly args?: readonly string[];
    /** Of each replica, enforced by the kernel; see MemoryGroup. */
    readonly memoryLimitBytes?: number | undefined;
  }): Promise<ChaosCluster> {
    const { model, replicas, random, args = [], memoryLimitBytes } = options;
    const members = await Promise.all(
      Array.from({ length: replicas }, async (): Promise<Member> => {
        const group =
          memoryLimitBytes === undefined ? undefined : new MemoryGroup(memoryLimitBytes);
        const server = await startLiveServer({ model, args, ...(group && { group }) });
        const proxy = await startChaosProxy({ target: server.grpcAddress, random });
        return { server, group, proxy, comeback: undefined };
      }),
    );
    return new ChaosCluster(model, args, members);
  }

  /** Of the proxies. */
  get addresses(): readonly string[] {
    return this.#members.map(({ proxy }) => proxy.address);
  }

  /** Of the servers themselves. */
  get servers(): readonly LiveServer[] {
    return this.#members.map(({ server }) => server);
  }

  get proxies(): readonly ChaosProxy[] {
    return this.#members.map(({ proxy }) => proxy);
  }

  /** Does it now; true unless the replica is away already. */
  inflict(fault: Fault, replica: number): boolean {
    const member = this.#members[replica] as Member;
    const { proxy, server } = member;
    if (member.comeback !== undefined) return false;
    this.faults[fault] = (this.faults[fault] ?? 0) + 1;
    switch (fault) {
      case "kill":
        this.#restart(member, "SIGKILL");
        break;
      case "drain":
        this.#restart(member, "SIGTERM");
        break;
      case "kill-engine":
        process.kill(server.enginePid(), "SIGKILL");
        break;
      case "abort-engine":
        process.kill(server.enginePid(), "SIGABRT");
        break;
      case "out-of-memory":
        this.#exhaust(member);
        break;
      case "cut":
        proxy.cut();
        break;
      case "black-hole":
        proxy.blackHole(BLACK_HOLE_MS);
        break;
      case "mirror":
        proxy.mirrorNext();
        proxy.cut();
        break;
      case "slow":
        proxy.delayChunks(SLOW_MS);
        break;
      case "fast":
        proxy.delayChunks(0);
        break;
      default:
        unreachable(fault);
    }
    return true;
  }

  async close(): Promise<void> {
    for (const member of this.#members) {
      while (member.comeback !== undefined) await member.comeback;
      await member.proxy.close();
      await member.server.stop();
      member.group?.remove();
    }
  }

  #exhaust(member: Member): void {
    const { group, server } = member;
    if (group === undefined) throw new Error("out-of-memory wants memoryLimitBytes");
    member.comeback = group.exhaust().then(async () => {
      // So that next time, too, there is an engine to be killed.
      do await delay(50);
      while (!(await fetch(`http://${server.httpAddress}/readyz`)).ok);
      member.comeback = undefined;
    });
  }

  #restart(member: Member, signal: NodeJS.Signals): void {
    const { server } = member;
    const port = server.grpcAddress.slice(server.grpcAddress.lastIndexOf(":") + 1);
    server.process.kill(signal);
    member.comeback = server.exited.then(async () => {
      server.client.close();
      // A node takes a moment to be scheduled again.
      await delay(50);
      const args = [...this.#args, "--port", port];
      const { group } = member;
      member.server = await startLiveServer({ model: this.#model, args, ...(group && { group }) });
      member.comeback = undefined;
    });
  }
}
