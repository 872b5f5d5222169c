import { z } from "zod";
import { loadConfig } from "@tandem/shared/config/load-config.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { SCOPES, TRAINER_SCOPES } from "./scope.js";

const rate = z.number().positive().optional();
const count = z.int().min(1).optional();

const clientSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[\w.@-]{1,64}$/, "1 to 64 letters, digits, . _ - @")
      .describe("as logs and metrics call it"),
    tokenSha256: z
      .array(z.string().regex(/^[0-9a-f]{64}$/i, "64 hexadecimal digits: the SHA-256 of a token"))
      .default([])
      .describe("SHA-256 of its tokens; two while one replaces the other"),
    certificate: z
      .string()
      .min(1)
      .optional()
      .describe("DNS name or common name in its TLS certificate (--ssl-ca-certs)"),
    scopes: z.array(z.enum(SCOPES)).default([...TRAINER_SCOPES]),
    weight: z.number().positive().max(1000).default(1),
    quota: z
      .strictObject({
        requestsPerSecond: rate,
        tokensPerSecond: rate,
        bytesPerSecond: rate,
        sequences: count,
        streams: count,
      })
      .prefault({}),
  })
  .refine(({ tokenSha256, certificate }) => tokenSha256.length > 0 || certificate !== undefined, {
    message: "a client needs tokenSha256 or certificate, or nobody can be it",
  });

const fileSchema = z.strictObject({ clients: z.array(clientSchema).min(1) });

/** A client as the file describes it. */
export type ClientEntry = Readonly<z.output<typeof clientSchema>>;

/** Reads the file of clients (YAML or JSON).
 * @throws TandemError NOT_FOUND or INVALID_ARGUMENT naming what is wrong. */
export function readClientEntries(file: string): readonly ClientEntry[] {
  const { clients } = loadConfig({ schema: fileSchema, file });
  assertUnique(
    clients.map(({ name }) => name),
    "name",
    file,
  );
  const tokens = clients.flatMap(({ tokenSha256 }) =>
    tokenSha256.map((hash) => hash.toLowerCase()),
  );
  assertUnique(tokens, "token", file);
  const certificates = clients.flatMap(({ certificate }) => certificate ?? []);
  assertUnique(certificates, "certificate", file);
  return clients;
}

function assertUnique(values: readonly string[], what: string, file: string): void {
  const twice = values.find((value, i) => values.indexOf(value) !== i);
  if (twice === undefined) return;
  throw new TandemError("INVALID_ARGUMENT", `${file}: two clients have the ${what} ${twice}`, {
    field: "auth-file",
  });
}
