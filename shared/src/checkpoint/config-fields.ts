import { TandemError } from "../errors/tandem-error.js";

/** Typed access to the fields of config.json; what is wrong is reported with the field's own name. */
export class ConfigFields {
  readonly #json: Readonly<Record<string, unknown>>;
  readonly #prefix: string;

  constructor(json: unknown, prefix = "") {
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `config.json${prefix && ` (${prefix})`} must hold a JSON object`,
        {
          field: "model",
        },
      );
    }
    this.#json = json as Record<string, unknown>;
    this.#prefix = prefix;
  }

  raw(field: string): unknown {
    return this.#json[field];
  }

  has(field: string): boolean {
    return this.#json[field] != null;
  }

  /** A whole number from 1 to `limit`; null counts as absent. */
  natural(field: string, limit: number, fallback?: number): number {
    const value = this.#json[field] ?? fallback;
    if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > limit)
      throw this.invalid(field, `must be a whole number from 1 to ${limit}`);
    return value as number;
  }

  positive(field: string, fallback?: number): number {
    const value = this.#json[field] ?? fallback;
    if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value)) {
      throw this.invalid(field, "must be a number > 0");
    }
    return value;
  }

  flag(field: string, fallback: boolean): boolean {
    const value = this.#json[field] ?? fallback;
    if (typeof value !== "boolean") throw this.invalid(field, "must be true or false");
    return value;
  }

  invalid(field: string, rule: string): TandemError {
    return new TandemError("INVALID_ARGUMENT", `config.json: ${this.#show(field)}; it ${rule}`, {
      field: this.#name(field),
    });
  }

  unsupported(field: string, supported: string): TandemError {
    return new TandemError(
      "UNIMPLEMENTED",
      `config.json: ${this.#show(field)} is not supported; ${supported}`,
      {
        field: this.#name(field),
      },
    );
  }

  #name(field: string): string {
    return `${this.#prefix}${field}`;
  }

  #show(field: string): string {
    return `${this.#name(field)} = ${JSON.stringify(this.#json[field])?.slice(0, 200) ?? "(absent)"}`;
  }
}
