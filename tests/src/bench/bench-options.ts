import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

type Value = number | string | boolean;

/** What literals stand for: `8` for a number. */
type Widened<T> = {
  readonly [K in keyof T]: T[K] extends number ? number : T[K] extends boolean ? boolean : string;
};

/** Options of a bench that measures a model: --model DIR, --threads N (all), and those with a default here, `topK` as --top-k; others are left alone.
 * @throws TandemError INVALID_ARGUMENT without a model. */
export function benchOptions<T extends Readonly<Record<string, Value>>>(
  args: string[],
  defaults: T,
): Widened<T> & { readonly model: string; readonly threads: number } {
  const all = { model: "", threads: availableParallelism(), ...defaults };
  const entries = Object.entries<Value>(all);
  const { values } = parseArgs({
    args,
    strict: false,
    options: Object.fromEntries(
      entries.map(([name, value]) => [
        flagOf(name),
        { type: typeof value === "boolean" ? ("boolean" as const) : ("string" as const) },
      ]),
    ),
  });
  const parsed = Object.fromEntries(
    entries.map(([name, value]) => {
      const given = values[flagOf(name)];
      if (given === undefined) return [name, value];
      return [name, typeof value === "number" ? Number(given) : given];
    }),
  ) as Widened<T> & { readonly model: string; readonly threads: number };
  if (parsed.model === "") throw new TandemError("INVALID_ARGUMENT", "name a model: --model DIR");
  return parsed;
}

function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
