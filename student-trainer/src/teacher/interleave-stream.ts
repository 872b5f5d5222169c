import type { Draft } from "@tandem/proto/gen/tandem/v1/Draft.js";
import type { InterleaveRequest } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { InterleaveResponse__Output } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import type { ItemError__Output } from "@tandem/proto/gen/tandem/v1/ItemError.js";
import type { Open } from "@tandem/proto/gen/tandem/v1/Open.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { Backoff } from "./backoff.js";
import { RetryingStream } from "./retrying-stream.js";
import { fromItemError } from "./rpc-error.js";
import type { TeacherConnection } from "./teacher-connection.js";
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
  timer?: NodeJS.Timeout;
}

/** Writes many sequences with the teacher on one stream. Everything sent within one turn of the event loop's microtasks travels in one message. */
export class InterleaveStream {
  readonly #teacher: TeacherOptions;
  readonly #wire: WireFormat;
  readonly #stream: RetryingStream<InterleaveRequest, InterleaveResponse__Output>;
  readonly #entries = new Set<Entry>();
  readonly #byWireId = new Map<number, Entry>();
  #nextWireId = 1;
  #outbox: { opens: Open[]; drafts: Draft[]; closes: number[] } | undefined;

  constructor(connection: TeacherConnection, teacher: TeacherOptions, vocabSize: number) {
    this.#teacher = teacher;
    this.#wire = { ...teacher, vocabSize };
    this.#stream = new RetryingStream({
      connection,
      teacher,
      call: (client, options) => client.Interleave(options),
      handlers: {
        onOpen: () => this.#reopenAll(),
        onMessage: (message) => this.#take(message),
        onLost: () => this.#forgetSessions(),
        onFatal: (error) => this.#failAll(error),
        pendingSince: () => this.#pendingSince(),
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
    this.#stream.close();
    this.#failAll(new TandemError("CANCELLED", "the connection to the teacher was closed"));
  }

  #draft(entry: Entry, block: DraftBlock): Promise<DraftAnswer> {
    if (!this.#entries.has(entry)) {
      throw new TandemError("FAILED_PRECONDITION", "draft of a sequence that was closed");
    }
    const isLost = entry.sequence.wireId === undefined;
    const { answer, message } = entry.sequence.add(block);
    if (!this.#stream.isOpen) this.#stream.ensureOpen();
    else if (message !== undefined) this.#mailbox().drafts.push(message);
    else if (isLost && entry.timer === undefined) this.#reopen(entry);
    return answer;
  }

  #closeSequence(entry: Entry): void {
    this.#entries.delete(entry);
    this.#endSession(entry);
    entry.sequence.fail(new TandemError("CANCELLED", "the sequence was closed"));
  }

  #endSession(entry: Entry): void {
    clearTimeout(entry.timer);
    delete entry.timer;
    const id = entry.sequence.wireId;
    if (id === undefined) return;
    entry.sequence.wireId = undefined;
    this.#byWireId.delete(id);
    if (this.#stream.isOpen) this.#mailbox().closes.push(id);
  }

  #reopenAll(): void {
    for (const entry of this.#entries) {
      if (entry.sequence.pendingSince !== undefined) this.#reopen(entry);
    }
  }

  /** Under an id that was never used on this stream, so that answers to the lost session cannot be mistaken. */
  #reopen(entry: Entry): void {
    const id = this.#nextWireId++;
    this.#byWireId.set(id, entry);
    const { open, drafts } = entry.sequence.open(id);
    const mailbox = this.#mailbox();
    mailbox.opens.push(open);
    mailbox.drafts.push(...drafts);
  }

  #forgetSessions(): void {
    this.#byWireId.clear();
    this.#outbox = undefined;
    for (const entry of this.#entries) {
      entry.sequence.wireId = undefined;
      clearTimeout(entry.timer);
      delete entry.timer;
    }
  }

  #take(message: InterleaveResponse__Output): void {
    // A `stale` needs no handling: the replacement that made the draft stale has settled it already.
    for (const verdict of message.verdicts) {
      const entry = this.#byWireId.get(verdict.sequence);
      if (entry === undefined) continue;
      try {
        entry.sequence.takeVerdict(verdict);
        entry.backoff.reset();
      } catch (caught) {
        this.#fail(entry, TandemError.from(caught));
      }
    }
    for (const error of message.errors) this.#takeError(error);
  }

  #takeError(item: ItemError__Output): void {
    const entry = this.#byWireId.get(item.id);
    if (entry === undefined) return;
    // About a draft that was overtaken: nobody waits for it.
    if (item.start !== undefined && !entry.sequence.awaits(item.start)) return;
    const error = fromItemError(item);
    // NOT_FOUND: the session was evicted or its lease ran out. CANCELLED: the server gave it up.
    const lost = error.retryable || error.code === "NOT_FOUND" || error.code === "CANCELLED";
    const delayMs = lost ? entry.backoff.next(error.retryDelayMs) : undefined;
    if (delayMs === undefined) {
      this.#fail(entry, error);
      return;
    }
    this.#endSession(entry);
    entry.timer = setTimeout(() => {
      delete entry.timer;
      if (this.#stream.isOpen && entry.sequence.pendingSince !== undefined) this.#reopen(entry);
    }, delayMs);
  }

  #fail(entry: Entry, error: TandemError): void {
    this.#endSession(entry);
    entry.sequence.fail(error);
  }

  #failAll(error: TandemError): void {
    this.#forgetSessions();
    for (const entry of this.#entries) entry.sequence.fail(error);
  }

  #pendingSince(): number | undefined {
    let oldest: number | undefined;
    for (const { sequence } of this.#entries) {
      const since = sequence.pendingSince;
      if (since !== undefined && (oldest === undefined || since < oldest)) oldest = since;
    }
    return oldest;
  }

  #mailbox(): { opens: Open[]; drafts: Draft[]; closes: number[] } {
    if (this.#outbox === undefined) {
      this.#outbox = { opens: [], drafts: [], closes: [] };
      queueMicrotask(() => this.#flush());
    }
    return this.#outbox;
  }

  #flush(): void {
    const outbox = this.#outbox;
    this.#outbox = undefined;
    if (outbox === undefined || !this.#stream.isOpen) return;
    // A reopened session's drafts are in the outbox behind its open; order across messages is kept.
    for (const opens of inChunks(outbox.opens, (open) => bytesOf(open.prompt, open.response))) {
      this.#stream.send({ opens });
    }
    const size = (draft: Draft) => bytesOf(draft.tokens, draft.atIds, draft.atOffsets);
    for (const drafts of inChunks(outbox.drafts, size)) this.#stream.send({ drafts });
    if (outbox.closes.length > 0) this.#stream.send({ closes: outbox.closes });
  }
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
