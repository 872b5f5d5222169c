import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

import type { HubApiError } from "@huggingface/hub";

import { TandemError } from "../errors/tandem-error.js";
import { downloadSnapshot, type HubAccess } from "./download-snapshot.js";

const HUB_ID = /^[\w.-]+\/[\w.-]+$/;

export interface ResolveModelOptions {
  /** Branch, tag or commit. Default "main". */
  readonly revision?: string;
  /** HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_HUB_OFFLINE, HF_ENDPOINT; usually `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly fetch?: typeof fetch;
}

/** A directory is taken as it is; `org/name` is looked up in the Hugging Face cache and downloaded into it when it is not there.
 * The cache has the layout of huggingface_hub, so models fetched by Python are found. Returns the absolute directory.
 * @throws TandemError NOT_FOUND when there is neither, UNAVAILABLE when the hub cannot be reached, UNAUTHENTICATED or PERMISSION_DENIED for gated models. */
export async function resolveModel(
  model: string,
  options: ResolveModelOptions = {},
): Promise<string> {
  if ((await stat(model).catch(() => undefined))?.isDirectory()) return resolve(model);
  if (!HUB_ID.test(model)) {
    throw new TandemError(
      "NOT_FOUND",
      `model "${model}" is neither a directory nor a hub id of the form org/name`,
      {
        field: "model",
      },
    );
  }
  const { revision = "main", env = process.env } = options;
  const repoDir = join(hubCacheDir(env), `models--${model.replace("/", "--")}`);
  if (isSet(env["HF_HUB_OFFLINE"])) return cachedSnapshot(model, repoDir, revision);
  try {
    return await downloadSnapshot(model, { revision, repoDir, access: hubAccess(options) });
  } catch (cause) {
    // As huggingface_hub does: without the network, what was fetched before is good enough.
    const cached = isNetworkFailure(cause)
      ? await cachedSnapshot(model, repoDir, revision).catch(() => undefined)
      : undefined;
    if (cached !== undefined) return cached;
    throw toTandemError(model, cause);
  }
}

/** HF_HUB_CACHE, else HF_HOME/hub, else the cache directory of the user. */
export function hubCacheDir(env: Readonly<Record<string, string | undefined>>): string {
  const home =
    env["HF_HOME"] ?? join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "huggingface");
  return env["HF_HUB_CACHE"] ?? env["HUGGINGFACE_HUB_CACHE"] ?? join(home, "hub");
}

function hubAccess({ env = process.env, fetch }: ResolveModelOptions): HubAccess {
  const token = env["HF_TOKEN"];
  if (token !== undefined && token !== "" && !token.startsWith("hf_")) {
    throw new TandemError(
      "UNAUTHENTICATED",
      "HF_TOKEN does not look like a token: it must start with hf_",
    );
  }
  return {
    ...(env["HF_ENDPOINT"] && { hubUrl: env["HF_ENDPOINT"].replace(/\/+$/, "") }),
    ...(token && { accessToken: token }),
    ...(fetch && { fetch }),
  };
}

async function cachedSnapshot(model: string, repoDir: string, revision: string): Promise<string> {
  const commit = await readFile(join(repoDir, "refs", revision), "utf8").catch(() => revision);
  const dir = join(repoDir, "snapshots", commit.trim());
  if ((await stat(dir).catch(() => undefined))?.isDirectory()) return dir;
  throw new TandemError(
    "NOT_FOUND",
    `model "${model}" (revision ${revision}) is not in the cache ${repoDir} and the hub may not be asked (HF_HUB_OFFLINE)`,
    { field: "model" },
  );
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && ["1", "true", "yes", "on"].includes(value.toLowerCase());
}

function isNetworkFailure(cause: unknown): boolean {
  return cause instanceof TypeError || ((cause as HubApiError).statusCode ?? 0) >= 500;
}

function toTandemError(model: string, cause: unknown): TandemError {
  if (cause instanceof TandemError) return cause;
  const status = (cause as HubApiError).statusCode;
  const options = { cause, field: "model" };
  if (status === 401) {
    return new TandemError(
      "UNAUTHENTICATED",
      `model "${model}" does not exist or needs a token; set HF_TOKEN`,
      options,
    );
  }
  if (status === 403) {
    return new TandemError(
      "PERMISSION_DENIED",
      `the token may not read model "${model}"; ask for access on its page`,
      options,
    );
  }
  if (status === 404) {
    return new TandemError(
      "NOT_FOUND",
      `model "${model}" is neither a directory nor on the hub`,
      options,
    );
  }
  if (isNetworkFailure(cause)) {
    return new TandemError(
      "UNAVAILABLE",
      `the hub cannot be reached for model "${model}" and it is not in the cache`,
      options,
    );
  }
  return TandemError.from(cause);
}
