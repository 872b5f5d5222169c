import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { unreachable } from "@tandem/shared/errors/invariant.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import type { Draft__Output } from "@tandem/proto/gen/tandem/v1/Draft.js";
import type { InterleaveRequest__Output } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { Open__Output } from "@tandem/proto/gen/tandem/v1/Open.js";
import type { Verdict } from "@tandem/proto/gen/tandem/v1/Verdict.js";
import type { Ticket } from "../admission/admission.js";
import { draftDemand, openDemand } from "../admission/demand.js";
import { admitDraft, admitOpen } from "../admission/admit-interleave.js";
import type { ValidDraft } from "../admission/valid-interleave.js";
import type { JobProgress } from "../scheduler/scheduler.js";
import type { DraftWork } from "../sessions/interleave-session.js";
import { SessionTable, type OpenSession } from "../sessions/session-table.js";
import { itemDeadline, type CallContext, type CallStream, type LiveCall } from "./call-context.js";
import { Outbox } from "./outbox.js";
import { ANSWER_OVERHEAD_BYTES, packFrames } from "./pack-frames.js";
import { StreamEnd } from "./stream-end.js";
import { toBytes, toItemError, toWireFinish, toWireUsage } from "./to-wire.js";

/** What an Interleave stream writes. */
export interface InterleaveAnswers {
  readonly verdicts: Verdict[];
  readonly stales: { readonly sequence: number; readonly start: number }[];
  readonly errors: ReturnType<typeof toItemError>[];
}

/** One Interleave stream: its open sequences, each with at most one draft in the scheduler at a time. */
export class InterleaveCall implements LiveCall {
  readonly #context: CallContext;
  readonly #stream: CallStream<InterleaveAnswers>;
  readonly #outbox: Outbox<InterleaveAnswers>;
  readonly #end: StreamEnd<InterleaveAnswers>;
  readonly #sessions: SessionTable;
  /** The job that computes a session's draft, or fills its cache ahead of the first one. */
  readonly #jobs = new Map<OpenSession, number>();
  /** When an unanswered draft stops being worth computing. */
  readonly #deadlines = new WeakMap<ValidDraft, number>();
  /** Sessions whose response was not empty when they were opened. */
  readonly #reopened = new WeakSet<OpenSession>();
  /** What a sequence takes as long as it is open. */
  readonly #held = new Map<OpenSession, Ticket>();
  /** The place in the queue of what is known of a sequence, until it is computed: ahead, or with the first draft. */
  readonly #places = new Map<OpenSession, Ticket>();
  /** What an unanswered draft takes. */
  readonly #tickets = new WeakMap<ValidDraft, Ticket>();
  #unansweredDrafts = 0;

  constructor(context: CallContext, stream: CallStream<InterleaveAnswers>) {
    this.#context = context;
    this.#stream = stream;
    this.#sessions = new SessionTable(context.limits.maxSequences);
    this.#outbox = new Outbox({
      create: (): InterleaveAnswers => ({ verdicts: [], stales: [], errors: [] }),
      send: stream.send,
      limitBytes: context.limits.maxMessageBytes,
    });
    this.#end = new StreamEnd(stream, this.#outbox, () => this.#unansweredDrafts > 0);
  }

  receive(request: InterleaveRequest__Output): void {
    for (const open of request.opens)
      this.#guarded(open.sequence, undefined, () => this.#open(open));
    for (const draft of request.drafts)
      this.#guarded(draft.sequence, draft.start, () => this.#draft(draft));
    for (const sequence of request.closes) this.#close(sequence);
    for (const sequence of request.cancels) this.#cancel(sequence);
  }

  /** The client has half-closed. */
  endInput(): void {
    this.#end.inputEnded();
  }

  drain(): void {
    this.#end.draining();
  }

  /** The stream is gone, and its sessions with it. */
  close(): void {
    for (const opened of this.#sessions.all()) this.#drop(opened);
  }

  /** Ends the leases of sessions that nobody has spoken to; a client that comes back opens them again. */
  expireLeases(): void {
    for (const opened of this.#sessions.idle(
      this.#context.clock.now(),
      this.#context.sessionLeaseMs,
    ))
      this.#drop(opened);
  }

  #open(raw: Open__Output): void {
    this.#context.assertAccepting();
    const open = admitOpen(raw, this.#context.limits);
    const { budget } = this.#stream;
    const { admission } = this.#context;
    const demand = openDemand(open, this.#stream.deadlineMs);
    const ticket = admission.reserve(demand);
    let opened: OpenSession;
    let place: Ticket | undefined;
    try {
      place = admission.enqueue(demand);
      budget.admit(open.prompt.length + open.response.length);
      budget.openSequence();
      try {
        opened = this.#sessions.open(open, this.#context.nextCache(), this.#context.clock.now());
      } catch (error) {
        budget.closeSequence();
        throw error;
      }
    } catch (error) {
      place?.release();
      ticket.release();
      throw error;
    }
    this.#held.set(opened, ticket);
    this.#places.set(opened, place);
    if (open.response.length > 0) this.#reopened.add(opened);
    this.#context.observer.onSessions(1);
    this.#fillAhead(opened);
  }

  /** Computes the keys and values of what is known already, while the student writes its first draft. */
  #fillAhead(opened: OpenSession): void {
    const { open, tokensAhead: tokens } = opened.session;
    if (tokens.length === 0) return this.#leaveQueue(opened);
    const job = this.#context.loop.submit(
      {
        client: this.#stream.client,
        owner: this.#stream.owner,
        priority: open.priority,
        kind: "prefill",
        cache: opened.cache,
        tokens,
        headFrom: tokens.length,
        head: { targets: new Uint32Array(0), spec: NO_SIGNAL },
        encoding: open.signal.encoding,
        atomic: false,
        maxLength: open.prompt.length + open.maxResponse,
        deadlineMs: this.#stream.deadlineMs,
      },
      {
        onProgress: () => this.#filledAhead(opened),
        // What could not be done ahead is done with the first draft.
        onFailure: () => this.#filledAhead(opened),
      },
    );
    this.#jobs.set(opened, job);
  }

  #filledAhead(opened: OpenSession): void {
    this.#jobs.delete(opened);
    this.#leaveQueue(opened);
  }

  #leaveQueue(opened: OpenSession): void {
    this.#places.get(opened)?.release();
    this.#places.delete(opened);
  }

  #draft(raw: Draft__Output): void {
    this.#context.assertAccepting();
    const opened = this.#sessions.require(raw.sequence);
    const limit = this.#context.limits.maxItemsInFlight;
    if (this.#unansweredDrafts >= limit) {
      throw new TandemError(
        "RESOURCE_EXHAUSTED",
        `${limit} drafts are unanswered on this stream, which is its limit; wait for verdicts`,
        {
          field: "drafts",
          limit,
          retryDelayMs: 100,
        },
      );
    }
    const now = this.#context.clock.now();
    const draft = admitDraft(raw, opened.session.open.signal, this.#context.limits);
    const { admission, limits } = this.#context;
    const deadlineMs = itemDeadline(now, draft.timeoutMs, this.#stream.deadlineMs);
    const ticket = admission.admit(draftDemand(draft, opened.session.open, { limits, deadlineMs }));
    try {
      this.#stream.budget.admit(draft.tokens.length);
    } catch (error) {
      ticket.release();
      throw error;
    }
    this.#tickets.set(draft, ticket);
    this.#deadlines.set(draft, deadlineMs);
    opened.usedMs = now;
    opened.session.offer(draft);
    this.#unansweredDrafts++;
    this.#advance(opened);
  }

  /** Answers what needs no model and hands the next draft that does to the loop. */
  #advance(opened: OpenSession): void {
    for (;;) {
      const step = opened.session.next();
      if (step === undefined) return;
      switch (step.kind) {
        case "compute":
          return this.#submit(opened, step.draft, step.work);
        case "stale":
          this.#answerStale(step.draft);
          break;
        case "error":
          this.#answerError(step.draft, step.error);
          break;
        default:
          unreachable(step);
      }
    }
  }

  #submit(opened: OpenSession, draft: ValidDraft, work: DraftWork): void {
    // The draft computes what is still missing.
    this.#cancelJob(opened);
    const { open } = opened.session;
    const job = this.#context.loop.submit(
      {
        client: this.#stream.client,
        owner: this.#stream.owner,
        priority: open.priority,
        kind: "draft",
        cache: opened.cache,
        tokens: work.tokens,
        headFrom: work.headFrom,
        head: work.head,
        encoding: open.signal.encoding,
        atomic: true,
        maxLength: open.prompt.length + open.maxResponse,
        deadlineMs: this.#deadlines.get(draft) ?? Infinity,
      },
      {
        onProgress: (progress) => this.#settle(opened, work, progress),
        onFailure: (error) => this.#fail(opened, error),
      },
    );
    this.#jobs.set(opened, job);
  }

  #settle(opened: OpenSession, work: DraftWork, { result, usage }: JobProgress): void {
    if (result.verdict === undefined)
      throw new TandemError("INTERNAL", "a draft came back without a verdict");
    this.#filledAhead(opened);
    const { draft, verdict, finish, cachedLength } = opened.session.settle(result.verdict);
    this.#context.pool.setLength(opened.cache, cachedLength);
    opened.usedMs = this.#context.clock.now();
    const groups = packFrames(
      result.frames,
      this.#context.limits.maxMessageBytes - ANSWER_OVERHEAD_BYTES - verdict.draftRanks.byteLength,
    );
    groups.forEach(({ frames, sizeBytes }, i) => {
      const answer: Verdict = {
        sequence: draft.sequence,
        start: draft.start,
        accepted: verdict.accepted,
        ...(verdict.replacement !== undefined && { replacement: verdict.replacement }),
        draftRanks: toBytes(verdict.draftRanks),
        frames: [...frames],
        last: i === groups.length - 1,
        finish: toWireFinish(finish),
        usage: toWireUsage(usage),
      };
      this.#outbox.add(
        sizeBytes + ANSWER_OVERHEAD_BYTES + verdict.draftRanks.byteLength,
        ({ verdicts }) => verdicts.push(answer),
      );
    });
    const { observer } = this.#context;
    observer.onItem("Interleave", "OK", usage);
    observer.onPositions(
      this.#reopened.has(opened) ? "reopened" : "prefill",
      usage.prefillPositions,
    );
    observer.onPositions(
      work.replay ? "replay" : "verify",
      usage.computedPositions - usage.prefillPositions,
    );
    observer.onDraft({
      offered: verdict.draftRanks.length,
      accepted: verdict.accepted,
      replaced: verdict.replacement !== undefined,
      replay: work.replay,
    });
    this.#answered(draft);
    this.#advance(opened);
  }

  /** The draft in the scheduler is lost, and with it those that were built on it. */
  #fail(opened: OpenSession, error: TandemError): void {
    this.#filledAhead(opened);
    for (const draft of opened.session.abandon()) this.#answerError(draft, error);
  }

  #cancel(sequence: number): void {
    const opened = this.#sessions.find(sequence);
    if (opened === undefined) return;
    if (opened.session.waitingDrafts > 0) {
      this.#cancelJob(opened);
      this.#leaveQueue(opened);
    }
    const error = new TandemError("CANCELLED", `the drafts of sequence ${sequence} were cancelled`);
    for (const draft of opened.session.abandon()) this.#answerError(draft, error);
  }

  #close(sequence: number): void {
    const opened = this.#sessions.find(sequence);
    if (opened === undefined) return;
    this.#drop(opened);
    this.#end.check();
  }

  #drop(opened: OpenSession): void {
    this.#cancelJob(opened);
    for (const draft of opened.session.abandon()) {
      this.#tickets.get(draft)?.release();
      this.#unansweredDrafts--;
    }
    this.#leaveQueue(opened);
    this.#held.get(opened)?.release();
    this.#held.delete(opened);
    this.#sessions.remove(opened.session.open.sequence);
    this.#stream.budget.closeSequence();
    this.#context.pool.free(opened.cache);
    this.#context.observer.onSessions(-1);
  }

  #cancelJob(opened: OpenSession): void {
    const job = this.#jobs.get(opened);
    if (job !== undefined) this.#context.loop.cancel(job);
    this.#jobs.delete(opened);
  }

  #answerStale(draft: ValidDraft): void {
    this.#context.observer.onStale();
    this.#outbox.add(16, ({ stales }) =>
      stales.push({ sequence: draft.sequence, start: draft.start }),
    );
    this.#answered(draft);
  }

  #answerError(draft: ValidDraft, error: TandemError): void {
    this.#refuse(draft.sequence, draft.start, error);
    this.#answered(draft);
  }

  #guarded(sequence: number, start: number | undefined, action: () => void): void {
    try {
      action();
    } catch (caught) {
      this.#refuse(sequence, start, TandemError.from(caught));
    }
  }

  #refuse(sequence: number, start: number | undefined, error: TandemError): void {
    this.#context.observer.onItem("Interleave", error.code);
    if (error.code === "INTERNAL")
      this.#context.logger.error({ event: "item.failed", err: error }, "an interleave item failed");
    this.#outbox.add(ANSWER_OVERHEAD_BYTES + error.message.length, ({ errors }) =>
      errors.push(toItemError(error, sequence, start)),
    );
  }

  #answered(draft: ValidDraft): void {
    this.#tickets.get(draft)?.release();
    this.#unansweredDrafts--;
    this.#end.check();
  }
}
