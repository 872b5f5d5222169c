import { once } from "node:events";
import { createServer, connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** What the proxy does to the bytes that pass. TCP keeps order and loses nothing within a connection, so the worst a network can do is to be slow,
 * to stop, to end, and to let a server see a whole connection twice. */
export interface ChaosProxy {
  readonly address: string;
  readonly counts: {
    connections: number;
    cuts: number;
    blackHoles: number;
    mirrored: number;
    bytes: number;
  };
  /** From now on every chunk waits for so long (uniform in 0 … ms) and is passed on in pieces. */
  delayChunks(ms: number): void;
  /** Ends every connection within the next few bytes, in the middle of a frame. */
  cut(): void;
  /** Passes nothing on for so long, for old and new connections, without ending one; then they end. */
  blackHole(ms: number): void;
  /** The next connection reaches the server twice: a second one gets a copy of all that the client sends, and its answers are dropped. */
  mirrorNext(): void;
  close(): Promise<void>;
}

export interface ChaosProxyOptions {
  /** `host:port` of the server. */
  readonly target: string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes until the end. */
  left: number;
}

/** A TCP proxy on a free port of loopback that is a bad network on demand. */
export async function startChaosProxy(options: ChaosProxyOptions): Promise<ChaosProxy> {
  const proxy = new Proxy(options);
  await proxy.listen();
  return proxy;
}

class Proxy implements ChaosProxy {
  readonly counts = { connections: 0, cuts: 0, blackHoles: 0, mirrored: 0, bytes: 0 };
  readonly #options: ChaosProxyOptions;
  readonly #server = createServer((client) => this.#accept(client));
  readonly #pairs = new Set<Pair>();
  #delayMs = 0;
  #mirrorNext = false;
  #holeUntil: Promise<void> | undefined;

  constructor(options: ChaosProxyOptions) {
    this.#options = options;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { readonly port: number }).port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  delayChunks(ms: number): void {
    this.#delayMs = ms;
  }

  cut(): void {
    for (const pair of this.#pairs) pair.left = Math.floor(this.#options.random() * 40);
  }

  blackHole(ms: number): void {
    this.counts.blackHoles++;
    const hole = delay(ms).then(() => {
      for (const pair of this.#pairs) this.#end(pair);
      this.#holeUntil = undefined;
    });
    this.#holeUntil = hole;
  }

  mirrorNext(): void {
    this.#mirrorNext = true;
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) this.#end(pair);
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client: Socket): void {
    this.counts.connections++;
    const server = this.#connect();
    const pair: Pair = { client, server, left: Infinity };
    this.#pairs.add(pair);
    const mirror = this.#mirrorNext ? this.#connect().resume() : undefined;
    if (mirror !== undefined) this.counts.mirrored++;
    this.#mirrorNext = false;
    mirror?.on("error", () => undefined);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => this.#end(pair));
      socket.on("close", () => this.#end(pair));
    }
    client.on("close", () => mirror?.destroy());
    void this.#pump(pair, client, mirror === undefined ? [server] : [server, mirror]);
    void this.#pump(pair, server, [client]);
  }

  #connect(): Socket {
    const [host = "", port = ""] = this.#options.target.split(/:(?=\d+$)/);
    return connect({ host, port: Number(port) });
  }

  async #pump(pair: Pair, from: Socket, to: readonly Socket[]): Promise<void> {
    const { random } = this.#options;
    try {
      for await (const data of from as AsyncIterable<Buffer>) {
        let rest = data;
        while (rest.length > 0) {
          await this.#holeUntil;
          const wish = this.#delayMs > 0 ? 1 + Math.floor(random() * 2 * rest.length) : rest.length;
          const piece = rest.subarray(0, Math.min(wish, pair.left));
          for (const socket of to) if (!socket.destroyed) socket.write(piece);
          this.counts.bytes += piece.length;
          pair.left -= piece.length;
          if (pair.left <= 0) {
            this.counts.cuts++;
            return this.#end(pair);
          }
          rest = rest.subarray(piece.length);
          if (this.#delayMs > 0) await delay(random() * this.#delayMs);
        }
      }
    } catch {
      // The other side ended it.
    }
    this.#end(pair);
  }

  #end(pair: Pair): void {
    if (!this.#pairs.delete(pair)) return;
    pair.client.destroy();
    pair.server.destroy();
  }
}
