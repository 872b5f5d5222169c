import { basename } from "node:path";
import { ServerCredentials } from "@grpc/grpc-js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { monotonicClock } from "@tandem/shared/telemetry/clock.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";
import { UNFINISHED_BYTES } from "./admission/memory-plan.js";
import { Gate } from "./auth/gate.js";
import { TlsSource } from "./auth/tls-source.js";
import type { ServerConfig } from "./cli/server-config.js";
import type { EngineClient } from "./engine/engine-client.js";
import type { Divergence, EngineDescription } from "./engine/engine-messages.js";
import { residentBytes } from "./engine/resident-bytes.js";
import { AuditLog } from "./grpc/audit-log.js";
import { createAuthenticator } from "./grpc/authenticate.js";
import { createCallGuard } from "./grpc/call-guard.js";
import { CallRegistry } from "./grpc/call-registry.js";
import { GrpcServer } from "./grpc/grpc-server.js";
import { emptyTally } from "./grpc/call-tally.js";
import { createTeacherHandlers } from "./grpc/teacher-handlers.js";
import { TlsCredentials } from "./grpc/tls-credentials.js";
import { HttpServer } from "./metrics/http-server.js";
import { Metrics } from "./metrics/metrics.js";
import { openStore } from "./store/open-store.js";
import { MAX_MESSAGE_BYTES, TeacherService } from "./teacher-service.js";

const SERVER_VERSION = "0.1.0";

/** A secret that lets one client in; the student reads it from the same variable. */
const TOKEN_VARIABLE = "TANDEM_TEACHER_TOKEN";

export interface RunningServer {
  readonly grpcAddress: string;
  readonly httpAddress: string;
  readonly modelName: string;
  /** Precision of the model, and how far it lies from float32. */
  readonly dtype: string;
  readonly divergence: Divergence | undefined;
  /** Reads the files of certificates and clients now. */
  readonly reloadCredentials: () => void;
  /** Refuses new work, finishes what is in flight within the configured time, and closes everything. */
  readonly shutdown: () => Promise<void>;
}

/** Puts the server together and starts it: listeners first (NOT_SERVING); resolves when the model has answered.
 * @throws TandemError when an address cannot be bound or the engine cannot load the model; everything is closed then, the engine too. */
export async function startServer(
  config: ServerConfig,
  { logger, engine }: { readonly logger: Logger; readonly engine: EngineClient },
): Promise<RunningServer> {
  const tls = createTls(config, logger);
  const modelName = config.servedModelName === "" ? basename(config.model) : config.servedModelName;
  const calls = new CallRegistry(config.maxStreams);
  const gate = createGate(config, logger, calls);
  const audit = config.auditLog === "" ? undefined : new AuditLog(config.auditLog, logger);
  const metrics = createMetrics(() => ({ service, engine, calls }));
  const store = await openStore({
    memoryBytes: config.storeMemoryBytes,
    path: config.storePath,
    diskBytes: config.storeBytes,
    redisUrl: config.storeRedisUrl,
    logger,
    observer: metrics.storeObserver(),
  });
  const service: TeacherService = new TeacherService({
    config,
    modelName,
    version: SERVER_VERSION,
    run: (step) => engine.run(step),
    clock: monotonicClock,
    logger,
    stepObserver: metrics,
    callObserver: metrics.observer(),
    store,
    serverBytes: process.memoryUsage.rss(),
  });
  const grpc = new GrpcServer({
    handlers: createTeacherHandlers({
      context: (owner) => service.context(owner),
      describe: () => service.describe(),
      calls,
      onCall: (entry, method) => {
        metrics.onCall(method, entry.code);
        audit?.write(entry);
      },
      onInternal: (method, error) =>
        logger.error({ event: "call.failed", method, err: error }, "a call failed"),
    }),
    maxMessageBytes: MAX_MESSAGE_BYTES,
    reflection: config.reflection,
    keepaliveMs: config.keepaliveMs,
    credentials: tls === undefined ? ServerCredentials.createInsecure() : new TlsCredentials(tls),
    interceptors: [
      createCallGuard({
        maxCalls: config.maxStreams,
        maxUnfinishedBytes: UNFINISHED_BYTES,
        onCut: (path) => metrics.onCall(path.split("/").at(-1) ?? "", "RESOURCE_EXHAUSTED"),
      }),
      createAuthenticator({
        gate,
        exemptHealth: config.healthWithoutToken,
        onRefused: (path, peer, { code }) => {
          metrics.onCall(path.split("/").at(-1) ?? "", code);
          audit?.write({ client: "", peer, call: path, code, durationMs: 0, ...emptyTally() });
        },
      }),
    ],
    maxEntries: 2 * Math.max(config.maxItemsInFlight, config.maxSequences),
  });
  const http = new HttpServer({
    registry: metrics.registry,
    isReady: () => service.ready,
    tls,
    gate,
  });
  let unusable: TandemError | undefined;
  const leaseTimer = setInterval(
    () => calls.expireLeases(),
    Math.min(10_000, config.sessionLeaseMs),
  ).unref();
  const closeAll = async (): Promise<void> => {
    clearInterval(leaseTimer);
    tls?.close();
    gate.close();
    service.close();
    await Promise.all([grpc.close(), http.close(), engine.close()]);
    await store?.close();
    await audit?.close();
  };
  let description: EngineDescription;
  try {
    await grpc.listen(config.host, config.port);
    await http.listen(config.host, config.httpPort);
    description = await engine.attach({
      onUp: (up) => {
        try {
          service.engineUp(up);
        } catch (caught) {
          const error = TandemError.from(caught);
          unusable = error;
          logger.fatal({ event: "engine.unusable", code: error.code }, error.message);
          service.engineDown(error);
        }
        grpc.setServing(service.ready);
      },
      onDown: (error) => {
        service.engineDown(error);
        grpc.setServing(false);
      },
    });
    if (unusable !== undefined) throw unusable;
    metrics.setModelInfo({
      model: modelName,
      version: SERVER_VERSION,
      architecture: description.architecture,
      dtype: description.dtype,
      weights_digest: description.weights.digest,
      numerics_id: description.numericsId,
    });
  } catch (error) {
    await closeAll();
    throw error;
  }
  return {
    grpcAddress: `${config.host}:${grpc.port}`,
    httpAddress: `${config.host}:${http.port}`,
    modelName,
    dtype: description.dtype,
    divergence: description.divergence,
    reloadCredentials: () => {
      tls?.reload();
      gate.reload();
    },
    shutdown: async () => {
      service.startDraining();
      grpc.setServing(false);
      const drained = await within(calls.drain(), config.shutdownTimeoutMs);
      if (!drained)
        logger.warn(
          { event: "drain.timeout", calls: calls.size },
          "calls were cut off by the shutdown timeout",
        );
      await closeAll();
    },
  };
}

/** @throws TandemError when the file of clients is not sound. */
function createGate(config: ServerConfig, logger: Logger, calls: CallRegistry): Gate {
  const token = process.env[TOKEN_VARIABLE]?.trim();
  return new Gate({
    file: config.authFile === "" ? undefined : config.authFile,
    token: token === "" ? undefined : token,
    reloadMs: config.credentialsReloadMs,
    clock: monotonicClock,
    logger,
    onChange: () => calls.recheck(),
  });
}

/** @throws TandemError when the certificate's files are not sound. */
function createTls(config: ServerConfig, logger: Logger): TlsSource | undefined {
  const { sslCertfile: certFile, sslKeyfile: keyFile, sslCaCerts: caFile } = config;
  if (certFile === "") return undefined;
  const files = { certFile, keyFile, ...(caFile !== "" && { caFile }) };
  return new TlsSource({ files, reloadMs: config.credentialsReloadMs, logger });
}

interface MetricSources {
  readonly service: TeacherService;
  readonly engine: EngineClient;
  readonly calls: CallRegistry;
}

/** The sources exist only after the metrics: they are looked up at each scrape. */
function createMetrics(sources: () => MetricSources): Metrics {
  return new Metrics({
    waitingJobs: () => sources().service.loop?.waitingJobs ?? 0,
    runningRows: () => sources().service.loop?.runningRows ?? 0,
    openStreams: () => sources().calls.size,
    kvUsedBytes: () => sources().service.pool?.usedBytes ?? 0,
    kvLimitBytes: () => sources().service.pool?.limitBytes ?? 0,
    kvEvictions: () => sources().service.pool?.evictions ?? 0,
    sharedPositions: () => sources().service.loop?.sharedPositions ?? 0,
    prefixBlocks: () => sources().service.prefixes?.storedBlocks ?? 0,
    coalescedItems: () => sources().service.loop?.coalescedJobs ?? 0,
    storeMemoryBytes: () => sources().service.storeMemoryBytes,
    storeDiskBytes: () => sources().service.storeDiskBytes,
    prefixEvictions: () => sources().service.prefixes?.evictions ?? 0,
    itemBytes: () => sources().service.admission?.usedBytes ?? 0,
    itemLimitBytes: () => sources().service.admission?.limitBytes ?? 0,
    queuedPositions: () => sources().service.admission?.queuedPositions ?? 0,
    engineRestarts: () => sources().engine.restarts,
    engineUp: () => sources().engine.up,
    engineBytes: () => residentBytes(sources().engine.pid),
  });
}

/** Whether the promise settles in time. */
async function within(promise: Promise<void>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([promise.then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
