import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** A page in a real headless Chromium (TANDEM_CHROMIUM, else `chromium`), driven over DevTools' pipe: no port is opened. */
export class ChromiumPage {
  /** Addresses the page asked for, and what it complained about. */
  readonly requests: string[] = [];
  readonly problems: string[] = [];
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #pending = new Map<number, (message: Message) => void>();
  #session: string | undefined;
  #nextId = 1;
  #received = "";
  #onLoad: () => void = () => {};

  private constructor(process: ChildProcess, profile: string) {
    this.#process = process;
    this.#profile = profile;
    (process.stdio[4] as Readable).setEncoding("utf8").on("data", (chunk: string) => {
      const messages = (this.#received + chunk).split("\0");
      this.#received = messages.pop() ?? "";
      for (const text of messages) this.#receive(JSON.parse(text) as Message);
    });
  }

  static async open(url: string): Promise<ChromiumPage> {
    const profile = await mkdtemp(join(tmpdir(), "tandem-chromium-"));
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"];
    const quiet = ["--disable-background-networking", "--disable-component-update"];
    const child = spawn(
      process.env["TANDEM_CHROMIUM"] ?? "chromium",
      [...flags, ...quiet, "--remote-debugging-pipe", `--user-data-dir=${profile}`],
      { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
    );
    await once(child, "spawn");
    const page = new ChromiumPage(child, profile);
    const { targetId } = await page.send<{ targetId: string }>("Target.createTarget", {
      url: "about:blank",
    });
    const { sessionId } = await page.send<{ sessionId: string }>("Target.attachToTarget", {
      targetId,
      flatten: true,
    });
    page.#session = sessionId;
    for (const domain of ["Page", "Network", "Runtime", "Log"]) await page.send(`${domain}.enable`);
    const loaded = new Promise<void>((resolve) => (page.#onLoad = resolve));
    await page.send("Page.navigate", { url });
    await loaded;
    return page;
  }

  /** The JSON value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result } = await this.send<{ result: { value: T } }>("Runtime.evaluate", {
      expression,
      returnByValue: true,
    });
    return result.value;
  }

  async press(key: string): Promise<void> {
    for (const type of ["keyDown", "keyUp"])
      await this.send("Input.dispatchKeyEvent", { type, key });
  }

  async movePointer(x: number, y: number): Promise<void> {
    await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
  }

  async send<T>(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<T> {
    const id = this.#nextId++;
    const answer = new Promise<Message>((resolve) => this.#pending.set(id, resolve));
    const message = { id, method, params, ...(this.#session && { sessionId: this.#session }) };
    (this.#process.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`);
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result as T;
  }

  async close(): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
    // Chromium's helpers outlive it by a moment and still write to the profile.
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  #receive(message: Message): void {
    if (message.id !== undefined) {
      this.#pending.get(message.id)?.(message);
      this.#pending.delete(message.id);
      return;
    }
    const { method, params } = message;
    if (method === "Page.loadEventFired") this.#onLoad();
    if (method === "Network.requestWillBeSent") {
      const request = params?.["request"] as { readonly url: string };
      this.requests.push(request.url);
    }
    if (method === "Runtime.exceptionThrown" || method === "Log.entryAdded") {
      this.problems.push(JSON.stringify(params));
    }
  }
}
