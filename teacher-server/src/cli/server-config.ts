import { availableParallelism } from "node:os";
import { z } from "zod";

const MIB = 1 << 20;

/** Everything `teacher-server` can be told. A flag is the kebab-case name, its environment twin TANDEM_ and the upper-case name. */
export const serverConfigSchema = z.strictObject({
  model: z
    .string()
    .min(1)
    .describe(
      "Hugging Face directory of the teacher (config.json, *.safetensors, tokenizer.json), or a Hugging Face hub id",
    ),
  servedModelName: z
    .string()
    .default("")
    .describe("name clients see; default: the last part of --model"),
  host: z.string().default("127.0.0.1").describe("address to listen on"),
  port: z.number().int().min(0).max(65535).default(50051).describe("gRPC port; 0 = any free one"),
  httpPort: z
    .number()
    .int()
    .min(0)
    .max(65535)
    .default(50052)
    .describe("port of /metrics, /livez and /readyz; 0 = any free one"),
  sslCertfile: z
    .string()
    .default("")
    .describe("PEM certificate of this server with its intermediates; given: TLS on both ports"),
  sslKeyfile: z.string().default("").describe("PEM key of that certificate"),
  sslCaCerts: z
    .string()
    .default("")
    .describe("PEM certificates that sign clients'; given: gRPC clients must show one (mTLS)"),
  allowInsecure: z
    .boolean()
    .default(false)
    .describe("plain text on an address that other machines reach"),
  authFile: z
    .string()
    .default("")
    .describe(
      "YAML or JSON file of the clients that may call, with hashes of their tokens; default: everybody may, or who has the token in TANDEM_TEACHER_TOKEN",
    ),
  healthWithoutToken: z.boolean().default(true).describe("answer grpc.health.v1 to everybody"),
  auditLog: z
    .string()
    .default("")
    .describe("file to which a JSON line about every call is appended; default: none"),
  credentialsReloadMs: z
    .number()
    .int()
    .min(10)
    .max(3_600_000)
    .default(10_000)
    .describe(
      "how often the files of certificates and clients are looked at; new ones are taken over without a restart",
    ),
  dtype: z
    .enum(["auto", "f32", "f16", "bf16"])
    .default("auto")
    .describe(
      "precision of arithmetic; the CPU computes in f32, whatever the weights are stored in",
    ),
  quantization: z
    .enum(["none", "int8", "int4"])
    .default("none")
    .describe(
      "int8: weights and activations in 8 bits, about one and a half times as fast; int4: weights in 4 bits, for memory. How far the answers lie from f32 is measured and said at start-up",
    ),
  cacheDir: z
    .string()
    .default("")
    .describe(
      "where quantised weights and digests are kept between starts; default: tandem in XDG_CACHE_HOME or ~/.cache",
    ),
  maxModelLen: z
    .number()
    .int()
    .min(0)
    .default(0)
    .describe("longest sequence, prompt and response together; 0 = the model's context"),
  maxNumSeqs: z.number().int().min(1).max(4096).default(64).describe("rows per forward pass"),
  maxNumBatchedTokens: z
    .number()
    .int()
    .min(1)
    .max(65536)
    .default(512)
    .describe("positions per forward pass"),
  maxLogprobs: z.number().int().min(0).default(1024).describe("largest top_k a client may ask for"),
  maxTaus: z
    .number()
    .int()
    .min(0)
    .default(8)
    .describe("temperatures per position a client may ask for"),
  maxDraws: z
    .number()
    .int()
    .min(0)
    .default(1024)
    .describe("samples per position a client may ask for"),
  maxAtIds: z.number().int().min(0).default(1024).describe("ids per position a client may ask for"),
  maxDenseBytes: z
    .number()
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(256 * MIB)
    .describe("bytes of full logits one item may ask for"),
  maxDraftTokens: z.number().int().min(1).default(64).describe("drafts per block"),
  maxSequences: z.number().int().min(1).default(1024).describe("open sequences per stream"),
  maxItemsInFlight: z.number().int().min(1).default(4096).describe("unanswered items per stream"),
  maxTokensBesideDrafts: z
    .number()
    .int()
    .min(1)
    .default(128)
    .describe(
      "of these for less urgent work at most, while drafts come in: verdicts stay quick, scoring goes on in smaller passes",
    ),
  maxWaitMs: z
    .number()
    .min(0)
    .default(2000)
    .describe("items that waited this long get a part of each pass, whatever is more urgent"),
  sessionLeaseMs: z
    .number()
    .min(1)
    .default(600_000)
    .describe("idle sequences are closed after this time"),
  keepaliveMs: z
    .number()
    .int()
    .min(1)
    .default(20_000)
    .describe(
      "silence after which a connection is probed; without an answer within half of that it is closed, and what it held is free",
    ),
  memoryLimit: z
    .number()
    .int()
    .min(0)
    .default(0)
    .describe(
      "bytes that server and engine may take together, whatever arrives; 0 = nine tenths of the machine or container",
    ),
  maxQueueMs: z
    .number()
    .min(1)
    .default(300_000)
    .describe("an item that would wait longer before it is computed is refused at once"),
  maxStreams: z
    .number()
    .int()
    .min(1)
    .default(1024)
    .describe("open streams of all clients together"),
  kvCacheMemoryBytes: z
    .number()
    .int()
    .min(1)
    .default(1024 * MIB)
    .describe("memory of the KV caches of all sequences"),
  enablePrefixCaching: z
    .boolean()
    .default(true)
    .describe("keep keys and values for sequences that begin alike"),
  prefixCacheMemoryBytes: z
    .number()
    .int()
    .min(0)
    .default(512 * MIB)
    .describe("memory of what is kept for them, beside the KV caches"),
  storeMemoryBytes: z
    .number()
    .int()
    .min(0)
    .default(256 * MIB)
    .describe("finished Score answers kept in memory; equal requests get them again; 0 = none"),
  storePath: z
    .string()
    .default("")
    .describe("directory of finished answers on disk, which outlive the server; default: none"),
  storeBytes: z
    .number()
    .int()
    .min(1)
    .default(16 * 1024 * MIB)
    .describe("what they may take there; the least recently used go first"),
  storeRedisUrl: z
    .string()
    .default("")
    .describe(
      "a Redis in which several servers share them (rediss://host:6379; redis:// in plain text); with a password only from the file or the environment; needs ioredis",
    ),
  threads: z
    .number()
    .int()
    .min(0)
    .max(1024)
    .default(0)
    .describe(`threads of the engine; 0 = all (${availableParallelism()} here)`),
  spin: z
    .boolean()
    .default(true)
    .describe(
      "threads that wait inside a step look for work for 100 µs before they sleep; off where the cores are also somebody else's",
    ),
  reflection: z.boolean().default(true).describe("gRPC server reflection"),
  shutdownTimeoutMs: z
    .number()
    .min(0)
    .default(30_000)
    .describe("time that work in flight has after SIGTERM"),
  logLevel: z
    .enum(["trace", "debug", "info", "warn", "error", "silent"])
    .default("info")
    .describe("least severe level that is logged"),
  logFormat: z
    .enum(["text", "json"])
    .default("text")
    .describe("format of log lines, which go to stderr"),
});

export type ServerConfig = Readonly<z.output<typeof serverConfigSchema>>;
