import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertRedisAddress, withoutPassword } from "@tandem/teacher-server/cli/redis-address.js";

const check = (url: string, wish: { flag?: boolean; insecure?: boolean } = {}) =>
  assertRedisAddress({
    url,
    onCommandLine: wish.flag === true,
    allowInsecure: wish.insecure === true,
  });

describe("--store-redis-url", () => {
  it("may be encrypted, on this machine, or plain where that was said", () => {
    check("");
    check("redis://127.0.0.1:6379", { flag: true });
    check("redis://:secret@[::1]:6379/2");
    check("rediss://user:secret@redis.example:6379");
    check("redis://redis.example", { flag: true, insecure: true });
  });

  it("does not leave this machine in plain text", () => {
    assert.throws(() => check("redis://redis.example:6379"), {
      code: "FAILED_PRECONDITION",
      message: /redis\.example:6379 in plain text.*rediss:\/\/.*--allow-insecure/,
    });
  });

  it("has no password where every user of the machine sees it, and the refusal does not repeat it", () => {
    for (const url of ["rediss://u:hush@redis.example", "redis://127.0.0.1?password=hush"]) {
      assert.throws(
        () => check(url, { flag: true }),
        (error: Error) =>
          /TANDEM_STORE_REDIS_URL/.test(error.message) && !/hush/.test(error.message),
      );
      check(url);
    }
  });

  it("is an address of Redis", () => {
    for (const url of ["redis.example", "http://127.0.0.1", "redis://u:p/w@h"])
      assert.throws(() => check(url), { code: "INVALID_ARGUMENT" });
  });

  it("is shown without its password", () => {
    assert.equal(withoutPassword("redis://127.0.0.1:6379/1"), "redis://127.0.0.1:6379/1");
    assert.equal(withoutPassword("rediss://u:a%3Ab@h:1/2"), "rediss://u:***@h:1/2");
    assert.doesNotMatch(withoutPassword("redis://h?password=hush&db=1"), /hush/);
  });
});
