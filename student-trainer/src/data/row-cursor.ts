import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { permute } from "./permute.js";

/** Where in the data a run stands: `position` rows of `epoch` were taken. */
export interface CursorState {
  readonly epoch: number;
  readonly position: number;
}

export interface CursorOptions {
  readonly count: number;
  readonly seed: number;
  readonly shuffle: boolean;
}

/** Walks through row numbers, epoch after epoch, each in its own order. */
export class RowCursor {
  readonly #options: CursorOptions;
  #epoch = 0;
  #position = 0;
  #order: Uint32Array;

  constructor(options: CursorOptions) {
    if (options.count === 0) {
      throw new TandemError("INVALID_ARGUMENT", "the training data has no usable row", {
        field: "data.train",
      });
    }
    this.#options = options;
    this.#order = this.#orderOf(0);
  }

  get state(): CursorState {
    return { epoch: this.#epoch, position: this.#position };
  }

  restore({ epoch, position }: CursorState): void {
    this.#epoch = epoch;
    this.#position = position;
    this.#order = this.#orderOf(epoch);
  }

  next(): { readonly row: number; readonly epoch: number } {
    if (this.#position >= this.#options.count) {
      this.#epoch++;
      this.#position = 0;
      this.#order = this.#orderOf(this.#epoch);
    }
    return { row: this.#order[this.#position++] as number, epoch: this.#epoch };
  }

  #orderOf(epoch: number): Uint32Array {
    const { count, seed, shuffle } = this.#options;
    return shuffle
      ? permute(count, seed, epoch)
      : Uint32Array.from({ length: count }, (_, index) => index);
  }
}
