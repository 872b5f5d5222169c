import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ChatTemplate } from "@tandem/shared/tokenizer/chat-template.js";

const messages = [{ role: "user", content: "Hi" }];

function refuses(source: string, message: RegExp): void {
  assert.throws(() => new ChatTemplate(source).render({ messages }, 300), {
    code: "INVALID_ARGUMENT",
    message,
  });
}

describe("ChatTemplate", () => {
  it("renders what it is given", () => {
    const source =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% for i in range(1, 8, 3) %}{{ i }}{% endfor %}{{ range(2) }}";
    assert.equal(new ChatTemplate(source).render({ messages }), "<user>Hi147[0, 1]");
  });

  it("counts as Python's range does", () => {
    const source = "{{ range(5, 0, -2) }}{{ range(3, 3) }}{{ range(0) }}";
    assert.equal(new ChatTemplate(source).render({}), "[5, 3, 1][][]");
  });

  it("ends loops that compute too long, and works afterwards", () => {
    const loop = "{% for i in range(100000) %}";
    refuses(`${loop}${loop}${loop}{% endfor %}{% endfor %}{% endfor %}`, /more than 300 ms/);
    assert.equal(new ChatTemplate("{{ 1 + 1 }}").render({}), "2");
  });

  it("ends lists and texts that grow without end", () => {
    refuses("{{ range(1000000000) }}", /range\(\) of 1000000000 elements/);
    refuses("{{ range(9, -99999999999999999999, -1) }}", /range\(\) of/);
    const double =
      "{% set n = namespace(s='x') %}{% for i in range(100) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}";
    refuses(double, /string length|characters|more than/);
  });

  it("reaches nothing of the program around it", () => {
    const escapes = [
      "{{ ''.constructor.constructor('return process')().pid }}",
      "{{ messages.constructor.constructor('return process')().pid }}",
      "{{ messages[0]['constructor']['constructor']('return process')().pid }}",
      "{{ range.constructor('return process')().pid }}",
      "{{ process.pid }}",
      "{{ globalThis.process.pid }}",
    ];
    for (const source of escapes) {
      let text = "";
      try {
        text = new ChatTemplate(source).render({ messages });
      } catch {
        continue;
      }
      assert.ok(!text.includes(String(process.pid)), source);
    }
    const probe =
      "{{ messages.__proto__ }}{{ messages[0].__proto__ }}{{ messages[0].constructor }}";
    assert.doesNotMatch(new ChatTemplate(probe).render({ messages }), /function|native|Object/);
  });

  it("refuses a source beyond a megabyte, and one nested beyond reason", () => {
    assert.throws(() => new ChatTemplate("x".repeat((1 << 20) + 1)), { code: "UNIMPLEMENTED" });
    assert.throws(() => new ChatTemplate(`{{ ${"(".repeat(200_000)}1${")".repeat(200_000)} }}`), {
      code: "UNIMPLEMENTED",
    });
  });
});
