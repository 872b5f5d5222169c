import { performance } from "node:perf_hooks";

import type { Draft } from "@tandem/proto/gen/tandem/v1/Draft.js";
import type { InterleaveRequest } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { InterleaveResponse__Output } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import type { ItemError__Output } from "@tandem/proto/gen/tandem/v1/ItemError.js";
import type { Open } from "@tandem/proto/gen/tandem/v1/Open.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { Backoff } from "./backoff.js";
import { repeatDelay } from "./repeat-delay.js";
import type { Replica } from "./replica.js";
import type { ReplicaPool } from "./replica-pool.js";
import { RetryBudget } from "./retry-budget.js";
import { fromItemError } from "./rpc-error.js";
import { StreamLanes, type Lane } from "./stream-lanes.js";
import type { TeacherOptions } from "./teacher-options.js";
import {
  TeacherSequence,
  type DraftAnswer,
  type DraftBlock,
  type SequenceRequest,
  type WireFormat,
} from "./teacher-sequence.js";

/** Half of the contract's 1 MiB, so that the frame around the arrays never matters. */
const MESSAGE_BYTES = 512 * 1024;
const MESSAGE_ITEM_BYTES = 64;

/** A sequence as its caller sees it. */
export interface OpenSequence {
  /** The verdict on a block. A lost stream or server is only a delay; blocks overtaken by a replacement come back stale.
   * @throws TandemError UNAVAILABLE after teacher.retryTimeoutMs without an answer, or what the server says of the item. */
  draft(block: DraftBlock): Promise<DraftAnswer>;
  close(): void;
}

interface Entry {
  readonly sequence: TeacherSequence;
  readonly backoff: Backoff;
  /** Where its session is, if it has one. */
  lane?: Lane<InterleaveRequest>;
  /** Runs while the sequence waits to be opened again. */
  timer?: NodeJS.Timeout;
  /** Where it failed last. */
  avoid?: Replica;
}

interface Mail {
  readonly opens: Open[];
  readonly drafts: Draft[];
  readonly closes: number[];
}

/** Writes many sequences with the teacher, each on one replica as long as that serves. Everything sent to a replica within one turn of the event loop's microtasks travels in one message. */
export class InterleaveStream {
  readonly #teacher: TeacherOptions;
  readonly #wire: WireFormat;
  readonly #budget: RetryBudget;
  readonly #lanes: StreamLanes<InterleaveRequest, InterleaveResponse__Output>;
  readonly #entries = new Set<Entry>();
  readonly #byWireId = new Map<number, Entry>();
  #nextWireId = 1;
  readonly #mail = new Map<Lane<InterleaveRequest>, Mail>();

  constructor(pool: ReplicaPool, teacher: TeacherOptions, vocabSize: number) {
    this.#teacher = teacher;
    this.#wire = { ...teacher, vocabSize };
    this.#budget = new RetryBudget(teacher.retryBudget, performance.now());
    this.#lanes = new StreamLanes({
      pool,
      teacher,
      call: (client, options) => client.Interleave(options),
      handlers: {
        onMessage: (message, lane) => this.#take(message, lane),
        onLost: (lane) => this.#forget(lane),
        onUsable: () => this.#placeAll(),
        onGiveUp: (error) => this.#failAll(error),
        pendingSince: (lane) => this.#pendingSince(lane),
        isPending: () => [...this.#entries].some(isPending),
      },
    });
  }

  openSequence(request: SequenceRequest): OpenSequence {
    const { retryTimeoutMs, random } = this.#teacher;
    const entry: Entry = {
      sequence: new TeacherSequence(request, this.#wire),
      backoff: new Backoff({ timeoutMs: retryTimeoutMs, random }),
    };
    this.#entries.add(entry);
    return {
      draft: async (block) => this.#draft(entry, block),
      close: () => this.#closeSequence(entry),
    };
  }

  close(): void {
    this.#lanes.close();
    this.#failAll(new TandemError("CANCELLED", "the connection to the teacher was closed"));
  }

  #draft(entry: Entry, block: DraftBlock): Promise<DraftAnswer> {
    if (!this.#entries.has(entry)) {
      throw new TandemError("FAILED_PRECONDITION", "draft of a sequence that was closed");
    }
    // A sequence leaves a replica that stops serving when it next has something to say.
    if (entry.lane !== undefined && !this.#lanes.accepts(entry.lane)) this.#endSession(entry);
    const { answer, message } = entry.sequence.add(block);
    if (message !== undefined && entry.lane !== undefined)
      this.#mailTo(entry.lane).drafts.push(message);
    else this.#place(entry);
    return answer;
  }

  #closeSequence(entry: Entry): void {
    this.#entries.delete(entry);
    this.#endSession(entry);
    entry.sequence.fail(new TandemError("CANCELLED", "the sequence was closed"));
  }

  #endSession(entry: Entry): void {
    const id = entry.sequence.wireId;
    const { lane } = entry;
    this.#loseSession(entry);
    if (id !== undefined && lane !== undefined) this.#mailTo(lane).closes.push(id);
  }

  #loseSession(entry: Entry): void {
    clearTimeout(entry.timer);
    delete entry.timer;
    if (entry.lane !== undefined) entry.lane.load--;
    delete entry.lane;
    if (entry.sequence.wireId !== undefined) this.#byWireId.delete(entry.sequence.wireId);
    entry.sequence.wireId = undefined;
  }

  #placeAll(): void {
    for (const entry of this.#entries) this.#place(entry);
  }

  /** Opens a session for what is unanswered, with all that is kept, under an id that was never used, so that answers to a lost session cannot be mistaken. */
  #place(entry: Entry): void {
    if (entry.lane !== undefined || entry.timer !== undefined || !isPending(entry)) return;
    const lane = this.#lanes.choose(entry.avoid);
    if (lane === undefined) return;
    const id = this.#nextWireId++;
    this.#byWireId.set(id, entry);
    entry.lane = lane;
    lane.load++;
    const { open, drafts } = entry.sequence.open(id);
    const mail = this.#mailTo(lane);
    mail.opens.push(open);
    mail.drafts.push(...drafts);
  }

  #forget(lane: Lane<InterleaveRequest>): void {
    this.#mail.delete(lane);
    for (const entry of this.#entries) if (entry.lane === lane) this.#loseSession(entry);
  }

  #take(message: InterleaveResponse__Output, { replica }: Lane<InterleaveRequest>): void {
    // A `stale` needs no handling: the replacement that made the draft stale has settled it already.
    for (const verdict of message.verdicts) {
      const entry = this.#byWireId.get(verdict.sequence);
      if (entry === undefined) continue;
      try {
        entry.sequence.takeVerdict(verdict);
        entry.backoff.reset();
        delete entry.avoid;
        this.#budget.answered(performance.now());
        replica.succeeded();
      } catch (caught) {
        this.#fail(entry, TandemError.from(caught));
      }
    }
    for (const error of message.errors) this.#takeError(error, replica);
  }

  #takeError(item: ItemError__Output, replica: Replica): void {
    const entry = this.#byWireId.get(item.id);
    if (entry === undefined) return;
    // About a draft that was overtaken: nobody waits for it.
    if (item.start !== undefined && !entry.sequence.awaits(item.start)) return;
    const error = fromItemError(item);
    // NOT_FOUND: the session was evicted or its lease ran out. CANCELLED: the server gave it up.
    const lost = error.retryable || error.code === "NOT_FOUND" || error.code === "CANCELLED";
    const delayMs = lost
      ? repeatDelay(error, { backoff: entry.backoff, budget: this.#budget, replica })
      : undefined;
    if (delayMs === undefined) {
      this.#fail(entry, error);
      return;
    }
    this.#endSession(entry);
    if (error.code !== "NOT_FOUND") entry.avoid = replica;
    entry.timer = setTimeout(() => {
      delete entry.timer;
      this.#place(entry);
    }, delayMs);
  }

  #fail(entry: Entry, error: TandemError): void {
    this.#endSession(entry);
    entry.sequence.fail(error);
  }

  #failAll(error: TandemError): void {
    for (const entry of this.#entries) this.#fail(entry, error);
  }

  #pendingSince(lane: Lane<InterleaveRequest>): number | undefined {
    let oldest: number | undefined;
    for (const entry of this.#entries) {
      if (entry.lane !== lane) continue;
      const since = entry.sequence.pendingSince;
      if (since !== undefined && (oldest === undefined || since < oldest)) oldest = since;
    }
    return oldest;
  }

  #mailTo(lane: Lane<InterleaveRequest>): Mail {
    let mail = this.#mail.get(lane);
    if (mail === undefined) {
      mail = { opens: [], drafts: [], closes: [] };
      this.#mail.set(lane, mail);
      queueMicrotask(() => this.#flush(lane));
    }
    return mail;
  }

  #flush(lane: Lane<InterleaveRequest>): void {
    const mail = this.#mail.get(lane);
    // The stream was lost meanwhile.
    if (mail === undefined) return;
    this.#mail.delete(lane);
    // A reopened session's drafts are in the mail behind its open; order across messages is kept.
    for (const opens of inChunks(mail.opens, (open) => bytesOf(open.prompt, open.response))) {
      lane.send({ opens });
    }
    const size = (draft: Draft) => bytesOf(draft.tokens, draft.atIds, draft.atOffsets);
    for (const drafts of inChunks(mail.drafts, size)) lane.send({ drafts });
    if (mail.closes.length > 0) lane.send({ closes: mail.closes });
  }
}

function isPending({ sequence }: Entry): boolean {
  return sequence.pendingSince !== undefined;
}

function bytesOf(...fields: readonly (Uint8Array | string | undefined)[]): number {
  return fields.reduce((sum: number, field) => sum + (field?.length ?? 0), MESSAGE_ITEM_BYTES);
}

function inChunks<T>(items: readonly T[], sizeOf: (item: T) => number): T[][] {
  const chunks: T[][] = [];
  let room = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (size > room) {
      chunks.push([]);
      room = MESSAGE_BYTES;
    }
    chunks.at(-1)?.push(item);
    room -= size;
  }
  return chunks;
}
