import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { ERROR_CODES } from "@tandem/shared/errors/error-code.js";
import { inRepository } from "../../helpers/repository.js";

/** Codes named in the part of a page that begins with one line and ends with another. */
function codesOf(page: string, from: string, to: string): string[] {
  const text = readFileSync(inRepository(page), "utf8");
  const [start, end] = [text.indexOf(from), text.indexOf(to)];
  assert.ok(start >= 0 && end > start, page);
  const named = text.slice(start, end).matchAll(/`([A-Z]+(?:_[A-Z]+)*)`/g);
  return [...new Set([...named].map(([, code]) => code as string))].sort();
}

/** Every code there is, and none that is not. */
describe("the tables of errors", () => {
  const all = Object.keys(ERROR_CODES).sort();

  it("in docs/operations.md say of every code who retries", () => {
    assert.deepEqual(
      codesOf("docs/operations.md", "## Errors: who retries what", "A run that ends saves"),
      all,
    );
  });

  it("in docs/troubleshooting.md say of every code what to do", () => {
    assert.deepEqual(codesOf("docs/troubleshooting.md", "| code ", "## The usual ones"), all);
  });
});
