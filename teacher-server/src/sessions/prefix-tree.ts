import { KV_BLOCK } from "@tandem/shared/inference/kv-blocks.js";
import type { BlockPlace } from "@tandem/shared/inference/step.js";

/** KV_BLOCK tokens behind those of the parent: a place in the chain of blocks that a sequence is. */
interface PrefixNode {
  readonly parent: PrefixNode | undefined;
  readonly key: string;
  readonly children: Map<string, PrefixNode>;
  state: NodeState;
  /** The plan that looked at it last. */
  usedIn: number;
}

type NodeState =
  /** Only a link to what lies behind. */
  | { readonly kind: "empty" }
  /** A job is computing it. */
  | { readonly kind: "promised"; readonly job: number }
  /** The step in flight saves it. */
  | { readonly kind: "saving"; readonly block: number }
  | { readonly kind: "stored"; readonly block: number };

const EMPTY: NodeState = { kind: "empty" };

export interface PrefixMatch {
  /** What the engine has of the sequence's beginning, without gaps. */
  readonly blocks: readonly BlockPlace[];
  /** Positions in them. */
  readonly length: number;
  /** The job that computes the block behind them. */
  readonly promisedBy: number | undefined;
}

/** Positions from … to−1 of a sequence. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** A block on its way into the engine's keeping. */
export interface BlockSave {
  readonly place: BlockPlace;
  readonly node: PrefixNode;
}

/** Which beginnings of sequences the engine keeps as blocks, and which are being computed: a tree of blocks of tokens. Equal places in it mean equal
 * tokens from the first on, without a hash that could collide. Pure: the content lies in the engine, this is the account of it.
 *
 * There are at most `capacity` blocks; the one that was of use longest ago gives way, ends of chains before their beginnings. */
export class PrefixTree {
  readonly #capacity: number;
  readonly #root: PrefixNode = nodeOf(undefined, "");
  /** In the order of their last use; a node before its parent. */
  readonly #stored = new Set<PrefixNode>();
  readonly #promises = new Map<number, PrefixNode[]>();
  #unused: number[] = [];
  #numbered = 0;
  #plan = 0;
  #evictions = 0;
  /** Nothing could be kept lately: then nobody should wait for a promise. */
  #full: boolean;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#full = capacity === 0;
  }

  get storedBlocks(): number {
    return this.#stored.size;
  }

  get evictions(): number {
    return this.#evictions;
  }

  /** Begins a plan: what it uses is not given away within it. */
  beginPlan(): void {
    this.#plan++;
  }

  /** What can be taken over of the first `limit` positions. */
  match(tokens: Uint32Array, limit: number): PrefixMatch {
    const blocks: BlockPlace[] = [];
    let node = this.#root;
    let promisedBy: number | undefined;
    for (let start = 0; start < limit && start + KV_BLOCK <= tokens.length; start += KV_BLOCK) {
      const next = node.children.get(keyOf(tokens, start));
      if (next?.state.kind === "promised") promisedBy = next.state.job;
      if (next?.state.kind !== "stored") break;
      blocks.push({ block: next.state.block, start });
      node = next;
    }
    this.#touch(node);
    return { blocks, length: blocks.length * KV_BLOCK, promisedBy };
  }

  /** Says that a job is about to compute positions `from` … `to`: others may wait for it. */
  promise(job: number, tokens: Uint32Array, { from, to }: Stretch): void {
    if (this.#full || !completesBlock({ from, to })) return;
    for (const { node } of this.#path(tokens, { from, to })) {
      if (node.state.kind !== "empty" && node.state.kind !== "promised") continue;
      node.state = { kind: "promised", job };
      const promises = this.#promises.get(job);
      if (promises === undefined) this.#promises.set(job, [node]);
      else promises.push(node);
    }
  }

  /** The job computes nothing more. */
  forget(job: number): void {
    const nodes = this.#promises.get(job) ?? [];
    this.#promises.delete(job);
    for (const node of nodes.toReversed()) {
      if (node.state.kind !== "promised" || node.state.job !== job) continue;
      node.state = EMPTY;
      prune(node);
    }
  }

  /** What the engine is to keep of a sequence whose positions 0 … `to` it then has: every whole block that is not kept yet, as far as there is room.
   * Nothing when positions from `from` on complete no block. */
  save(tokens: Uint32Array, { from, to }: Stretch): readonly BlockSave[] {
    const saves: BlockSave[] = [];
    if (!completesBlock({ from, to })) return saves;
    for (const { node, start } of this.#path(tokens, { from: 0, to })) {
      if (node.state.kind === "stored" || node.state.kind === "saving") continue;
      this.#touch(node.parent);
      const block = this.#takeNumber();
      this.#full = block === undefined;
      if (block === undefined) {
        prune(node);
        break;
      }
      node.state = { kind: "saving", block };
      saves.push({ node, place: { block, start } });
    }
    return saves;
  }

  /** The step is over; whether it kept what it was to keep. */
  settle(saves: readonly BlockSave[], kept: boolean): void {
    for (const { node, place } of saves) {
      if (kept) {
        node.state = { kind: "stored", block: place.block };
        this.#stored.add(node);
      } else {
        node.state = EMPTY;
        this.#unused.push(place.block);
        prune(node);
      }
    }
    this.#touch(saves.at(-1)?.node);
  }

  /** The engine is a new one and keeps nothing. */
  clear(): void {
    this.#root.children.clear();
    this.#stored.clear();
    this.#promises.clear();
    this.#unused = [];
    this.#numbered = 0;
    this.#full = this.#capacity === 0;
  }

  /** The whole blocks of 0 … `to` but those that end before `from`; places that do not exist are made. */
  *#path(
    tokens: Uint32Array,
    { from, to }: Stretch,
  ): Generator<{ readonly node: PrefixNode; readonly start: number }> {
    let node = this.#root;
    for (let start = 0; start + KV_BLOCK <= to; start += KV_BLOCK) {
      const key = keyOf(tokens, start);
      let next = node.children.get(key);
      if (next === undefined) {
        next = nodeOf(node, key);
        node.children.set(key, next);
      }
      node = next;
      if (start + KV_BLOCK > from) yield { node, start };
    }
  }

  /** Marks a chain as used, its end first: so whoever is first in line has nothing stored behind it. */
  #touch(end: PrefixNode | undefined): void {
    for (let node = end; node?.parent !== undefined; node = node.parent) {
      node.usedIn = this.#plan;
      if (this.#stored.delete(node)) this.#stored.add(node);
    }
  }

  #takeNumber(): number | undefined {
    const unused = this.#unused.pop();
    if (unused !== undefined) return unused;
    if (this.#numbered < this.#capacity) return this.#numbered++;
    const [oldest] = this.#stored;
    if (oldest?.state.kind !== "stored" || oldest.usedIn === this.#plan) return undefined;
    const { block } = oldest.state;
    this.#stored.delete(oldest);
    oldest.state = EMPTY;
    prune(oldest);
    this.#evictions++;
    return block;
  }
}

function completesBlock({ from, to }: Stretch): boolean {
  return to - (to % KV_BLOCK) > from;
}

function nodeOf(parent: PrefixNode | undefined, key: string): PrefixNode {
  return { parent, key, children: new Map(), state: EMPTY, usedIn: 0 };
}

/** Forgets a place that holds nothing and leads nowhere, and those that led only to it. */
function prune(end: PrefixNode): void {
  let node = end;
  while (
    node.parent !== undefined &&
    node.state.kind === "empty" &&
    node.children.size === 0 &&
    node.parent.children.get(node.key) === node
  ) {
    node.parent.children.delete(node.key);
    node = node.parent;
  }
}

/** The tokens themselves, as characters of a byte each. */
function keyOf(tokens: Uint32Array, start: number): string {
  return Buffer.from(tokens.buffer, tokens.byteOffset + 4 * start, 4 * KV_BLOCK).toString("latin1");
}
