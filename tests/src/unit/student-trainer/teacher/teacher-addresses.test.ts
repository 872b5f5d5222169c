import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  parseTeacherAddress,
  toSocketAddress,
} from "@tandem/student-trainer/teacher/teacher-addresses.js";

describe("parseTeacherAddress", () => {
  it("takes sockets as they are", () => {
    for (const address of ["gpu-node:50051", "10.0.0.7:1", "[::1]:50051", "unix:/run/teacher.sock"])
      assert.deepEqual(parseTeacherAddress(address), { kind: "fixed", address });
  });

  it("takes names that stand for several addresses", () => {
    const expected = { kind: "dns", host: "teachers.ml.svc", port: "50051" };
    assert.deepEqual(parseTeacherAddress("dns:///teachers.ml.svc:50051"), expected);
    assert.deepEqual(parseTeacherAddress("dns:teachers.ml.svc:50051"), expected);
  });

  for (const address of ["", "gpu-node", "http://gpu-node:50051", "dns://8.8.8.8/a:1", "a b:1"]) {
    it(`refuses "${address}" and says what is allowed`, () => {
      assert.throws(() => parseTeacherAddress(address), {
        code: "INVALID_ARGUMENT",
        field: "teacher.address",
        message: /host:port, dns:\/\/\/host:port and unix:PATH/,
      });
    });
  }

  it("writes IPv6 addresses in brackets", () => {
    assert.equal(toSocketAddress("::1", "50051"), "[::1]:50051");
    assert.equal(toSocketAddress("127.0.0.1", "50051"), "127.0.0.1:50051");
  });
});
