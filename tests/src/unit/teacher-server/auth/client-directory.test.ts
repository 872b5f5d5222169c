import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ClientDirectory } from "@tandem/teacher-server/auth/client-directory.js";
import { readClientEntries } from "@tandem/teacher-server/auth/client-entry.js";
import { scopeOf } from "@tandem/teacher-server/auth/scope.js";

const dir = mkdtempSync(join(tmpdir(), "tandem-auth-"));
const clock = { now: () => 0 };
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

function entriesOf(text: string) {
  const file = join(dir, "clients.yaml");
  writeFileSync(file, text);
  return readClientEntries(file);
}

const TWO = `
clients:
  - name: team-a
    token-sha256: [${sha256("alpha")}, ${sha256("next-alpha")}]
    weight: 2
    quota: { tokens-per-second: 100 }
  - name: team-b
    tokenSha256: ["${sha256("beta").toUpperCase()}"]
    certificate: b.example
    scopes: [describe, metrics]
`;

const shown = (authorization: string | undefined, ...certificateNames: string[]) => ({
  peer: "127.0.0.1:1",
  authorization,
  certificateNames,
});

describe("readClientEntries", () => {
  it("fills in what a trainer needs", () => {
    const [first, second] = entriesOf(TWO);
    assert.deepEqual(first?.scopes, ["describe", "score", "interleave", "generate"]);
    assert.deepEqual(first?.quota, { tokensPerSecond: 100 });
    assert.equal(second?.weight, 1);
  });

  const faults: readonly (readonly [string, string, RegExp])[] = [
    ["an unknown key", "clients: [{name: a, token: x}]", /unknown option|[Uu]nrecognized/],
    ["a secret in place of its hash", "clients: [{name: a, tokenSha256: [secret]}]", /64 hexa/],
    ["a client that nobody can be", "clients: [{name: a}]", /tokenSha256 or certificate/],
    ["no client", "clients: []", /clients/],
    ["a scope that is not there", `clients: [{name: a, certificate: x, scopes: [all]}]`, /scopes/],
    [
      "two clients with one token",
      `clients: [{name: a, tokenSha256: ["${sha256("x")}"]}, {name: b, tokenSha256: ["${sha256("x")}"]}]`,
      /two clients have the token/,
    ],
  ];
  for (const [what, text, message] of faults) {
    it(`refuses ${what}`, () => {
      assert.throws(() => entriesOf(text), { code: "INVALID_ARGUMENT", message });
    });
  }
});

describe("ClientDirectory", () => {
  it("knows a client by any of its tokens, or by its certificate", () => {
    const directory = new ClientDirectory(entriesOf(TWO), clock);
    const nameOf = (...args: Parameters<typeof shown>) =>
      directory.authenticate(shown(...args)).identity;
    assert.deepEqual(nameOf("Bearer alpha"), { name: "team-a", weight: 2 });
    assert.deepEqual(nameOf("bearer  next-alpha"), { name: "team-a", weight: 2 });
    assert.equal(nameOf("Bearer beta").name, "team-b");
    assert.equal(nameOf(undefined, "x.example", "b.example").name, "team-b");
    assert.equal(nameOf("Bearer alpha", "b.example").name, "team-a");
  });

  it("lets nobody else in, a bad token not even with a good certificate", () => {
    const directory = new ClientDirectory(entriesOf(TWO), clock);
    const bad = [
      "Bearer alph",
      "Bearer alphaa",
      "Bearer",
      "",
      "Basic alpha",
      "alpha",
      "Bearer a b",
    ];
    for (const authorization of bad) {
      assert.throws(() => directory.authenticate(shown(authorization, "b.example")), {
        code: "UNAUTHENTICATED",
        message: "the token is not known here",
      });
    }
    assert.throws(() => directory.authenticate(shown(undefined, "c.example")), {
      code: "UNAUTHENTICATED",
    });
  });

  it("forgets a token that was taken out and keeps the debts of a client that stays", () => {
    const directory = new ClientDirectory(entriesOf(TWO), clock);
    const old = directory.authenticate(shown("Bearer alpha"));
    const other = directory.authenticate(shown("Bearer next-alpha"));
    old.budget.admit(1000);
    directory.replace(entriesOf(TWO.replace(`${sha256("alpha")}, `, "")));
    assert.equal(old.isCurrent(), false);
    assert.equal(other.isCurrent(), true);
    assert.throws(() => directory.authenticate(shown("Bearer next-alpha")).budget.admit(1), {
      code: "RESOURCE_EXHAUSTED",
    });
  });
});

describe("scopeOf", () => {
  it("names what a path needs, and admin for what it does not know", () => {
    assert.equal(scopeOf("/tandem.v1.Teacher/Score"), "score");
    assert.equal(scopeOf("/grpc.health.v1.Health/Watch"), "describe");
    assert.equal(scopeOf("/tandem.v1.Teacher/Unload"), "admin");
  });
});
