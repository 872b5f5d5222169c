/** What a loss must know of the models before it can say what it needs: hidden states have widths, projections have shapes. */
export interface ModelSize {
  /** Blocks; hidden state 0 is the embedding's, `layers` the last. */
  readonly layers: number;
  /** D. */
  readonly width: number;
  /** Of a block's queries, and of its keys and values each; default: D. */
  readonly queryWidth?: number;
  readonly keyWidth?: number;
  /** Of a teacher with another tokenizer than the student's. */
  readonly translation?: Translation;
}

/** How two vocabularies meet. */
export interface Translation {
  /** V_T, the teacher's ids. */
  readonly vocabulary: number;
  /** How many of them the student has a token for. */
  readonly matched: number;
  /** The student's ids without a counterpart. */
  readonly studentOnly: Uint32Array;
}

export interface ModelSizes {
  /** V. */
  readonly vocabulary: number;
  readonly student: ModelSize;
  readonly teacher: ModelSize;
}

/** The sizes of a run; `named` are the teachers that losses name. */
export interface RunSizes extends ModelSizes {
  readonly named?: Readonly<Record<string, ModelSize>>;
}

/** Where the models are not known yet: for lists of losses and for checks of a configuration. */
export const EXAMPLE_SIZES: RunSizes = {
  vocabulary: 49_152,
  student: { layers: 6, width: 576 },
  teacher: { layers: 12, width: 768 },
};
