/** What one line of progress says. */
export interface ProgressFacts {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly tokensPerSecond: number;
  readonly acceptance?: number | undefined;
  readonly teacherWaitMs?: number | undefined;
}

export interface ProgressOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A bar that redraws itself on a terminal, plain lines elsewhere (at most one per `plainEvery` steps, and the last). */
export class Progress {
  readonly #out: ProgressOutput;
  readonly #plainEvery: number;
  #open = false;

  constructor(out: ProgressOutput, plainEvery = 10) {
    this.#out = out;
    this.#plainEvery = plainEvery;
  }

  show(facts: ProgressFacts): void {
    if (this.#out.isTTY === true) {
      this.#out.write(`\r\u001b[2K${bar(facts, this.#columns())}`);
      this.#open = true;
    } else if (facts.step % this.#plainEvery === 0 || facts.step === facts.steps) {
      const waited = waitedSeconds(facts) === 0 ? "" : " for the teacher";
      this.#out.write(`step ${facts.step}/${facts.steps} ${describe(facts)}${waited}\n`);
    }
  }

  /** A terminal that nobody has measured has 0. */
  #columns(): number {
    const { columns = 0 } = this.#out;
    return columns > 0 ? columns : 80;
  }

  /** A line of its own, above the bar. */
  note(text: string): void {
    this.end();
    this.#out.write(`${text}\n`);
  }

  end(): void {
    if (this.#open) this.#out.write("\n");
    this.#open = false;
  }
}

function waitedSeconds({ teacherWaitMs = 0 }: ProgressFacts): number {
  return Math.max(0, teacherWaitMs / 1000);
}

/** Short enough for 80 columns. */
function describe(facts: ProgressFacts): string {
  const { loss, tokensPerSecond, acceptance } = facts;
  const parts = [`loss ${loss.toFixed(4)}`, `${Math.round(tokensPerSecond)} tokens/s`];
  if (acceptance !== undefined) parts.push(`accepted ${(100 * acceptance).toFixed(1)} %`);
  const waited = waitedSeconds(facts);
  if (waited > 0) parts.push(`waited ${waited.toFixed(2)} s`);
  return parts.join(" · ");
}

function bar(facts: ProgressFacts, columns: number): string {
  const text = ` ${facts.step}/${facts.steps} ${describe(facts)}`;
  const width = Math.max(4, Math.min(30, columns - text.length - 3));
  const filled = Math.round((width * facts.step) / Math.max(1, facts.steps));
  return `[${"█".repeat(filled)}${"·".repeat(width - filled)}]${text}`.slice(0, columns);
}
