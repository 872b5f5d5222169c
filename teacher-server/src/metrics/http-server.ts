import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Registry } from "prom-client";
import type { Gate } from "../auth/gate.js";
import type { TlsSource } from "../auth/tls-source.js";

export interface HttpServerOptions {
  readonly registry: Registry;
  /** The model answers: not loading, not draining, engine there. */
  readonly isReady: () => boolean;
  /** Present: HTTPS. Clients need no certificate: probes have none. */
  readonly tls?: TlsSource | undefined;
  /** Metrics are for clients with that scope; health is for everybody. */
  readonly gate: Gate;
}

/** Metrics and health for people and probes: /metrics, /livez (the process turns), /readyz (the model answers). */
export class HttpServer {
  readonly #server: Server | TlsServer;

  constructor(options: HttpServerOptions) {
    this.#server = listener(options.tls, (request, response) => {
      answer(request, response, options).catch((error: unknown) => {
        response.writeHead(500, { "content-type": "text/plain" }).end(`${String(error)}\n`);
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** @throws TandemError UNAVAILABLE when the address cannot be bound. */
  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (cause) =>
        reject(
          new TandemError("UNAVAILABLE", `cannot listen on ${host}:${port}: ${cause.message}`, {
            cause,
            field: "http-port",
          }),
        ),
      );
      this.#server.listen(port, host, () => resolve());
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Answers a caller who may not see the metrics. */
function refused(request: IncomingMessage, response: ServerResponse, gate: Gate): boolean {
  const { authorization } = request.headers;
  const peer = `${request.socket.remoteAddress}:${request.socket.remotePort}`;
  try {
    gate.enter({ peer, authorization, certificateNames: [] }, "metrics");
    return false;
  } catch (caught) {
    const { code, message } = TandemError.from(caught);
    const status = code === "UNAUTHENTICATED" ? 401 : code === "PERMISSION_DENIED" ? 403 : 500;
    const headers = { "content-type": "text/plain", "www-authenticate": "Bearer" };
    response.writeHead(status, headers).end(`${message}\n`);
    return true;
  }
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

function listener(tls: TlsSource | undefined, onRequest: Answer): Server | TlsServer {
  if (tls === undefined) return createServer(onRequest);
  const context = () => ({ cert: tls.material.cert, key: tls.material.key });
  const server = createTlsServer(context(), onRequest);
  tls.onChange(() => server.setSecureContext(context()));
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: HttpServerOptions,
): Promise<void> {
  const path = (request.url ?? "/").replace(/\?.*$/, "");
  switch (path) {
    case "/metrics":
      if (refused(request, response, options.gate)) return;
      response.writeHead(200, { "content-type": options.registry.contentType });
      response.end(await options.registry.metrics());
      return;
    case "/livez":
      response.writeHead(200, { "content-type": "text/plain" }).end("alive\n");
      return;
    case "/readyz": {
      const ready = options.isReady();
      response
        .writeHead(ready ? 200 : 503, { "content-type": "text/plain" })
        .end(ready ? "ready\n" : "not ready\n");
      return;
    }
    default:
      response
        .writeHead(404, { "content-type": "text/plain" })
        .end("try /metrics, /livez or /readyz\n");
  }
}
