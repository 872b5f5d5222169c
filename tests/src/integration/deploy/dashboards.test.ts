import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";

import { parse } from "yaml";

import { everythingHappens } from "../../helpers/everything-happens.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { inRepository } from "../../helpers/repository.js";
import { promqlNames } from "./promql.js";

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

const read = (path: string) => readFileSync(inRepository(path), "utf8");

/** What Prometheus adds to every sample. */
const PROMETHEUS_LABELS = ["instance", "job"];

describe("dashboard and alerts", { timeout: 60_000 }, () => {
  let server: LiveServer;
  /** By metric: label → values that were seen. */
  const exported = new Map<string, Map<string, Set<string>>>();

  before(async () => {
    server = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--store-memory-bytes", "1000000"],
    });
    await everythingHappens(server, 2);
    const page = await (await fetch(`http://${server.httpAddress}/metrics`)).text();
    for (const line of page.split("\n")) {
      const [, type] = /^# TYPE (\S+)/.exec(line) ?? [];
      if (type !== undefined) exported.set(type, new Map());
      const [, name = "", labels = ""] = /^([a-z_]\w*)(?:\{(.*)\})? /.exec(line) ?? [];
      if (name === "" || line.startsWith("#")) continue;
      const seen = exported.get(name) ?? new Map<string, Set<string>>();
      exported.set(name, seen);
      for (const [, label = "", value = ""] of labels.matchAll(/(\w+)="([^"]*)"/g))
        seen.set(label, (seen.get(label) ?? new Set<string>()).add(value));
    }
  });
  after(() => server?.stop());

  function assertAnswerable(expression: string): void {
    const { metrics, groupings } = promqlNames(expression);
    assert.ok(metrics.length > 0, `no metric in ${expression}`);
    for (const { name, matchers } of metrics) {
      if (name === "up") continue;
      const labels = exported.get(name);
      assert.ok(labels !== undefined, `${name} is not on /metrics: ${expression}`);
      for (const { label, op, value } of matchers) {
        if (PROMETHEUS_LABELS.includes(label)) continue;
        assert.ok(labels.has(label), `${name} has no label ${label}: ${expression}`);
        if (op === "=")
          assert.ok(labels.get(label)?.has(value), `${name} has no ${label}="${value}"`);
      }
      for (const label of groupings) {
        if (PROMETHEUS_LABELS.includes(label)) continue;
        assert.ok(labels.has(label), `${name} has no label ${label}: ${expression}`);
      }
    }
  }

  it("ask only for what a running teacher exports: every panel", () => {
    const { panels } = JSON.parse(read("deploy/compose/grafana/dashboards/teacher.json")) as {
      readonly panels: readonly Panel[];
    };
    const charts = panels.filter(({ type }) => type !== "row");
    assert.ok(charts.length >= 20);
    for (const { title, targets = [] } of charts) {
      assert.ok(targets.length > 0, `${title} asks for something`);
      for (const { expr } of targets) assertAnswerable(expr);
    }
  });

  it("ask only for what a running teacher exports: every alert", () => {
    const { groups } = parse(read("deploy/compose/prometheus/alerts.yaml")) as Rules;
    const rules = groups.flatMap((group) => group.rules);
    assert.ok(rules.length >= 5);
    for (const { expr } of rules) assertAnswerable(expr);
  });

  it("would be found out: names and labels that do not exist are refused", () => {
    for (const wrong of [
      "rate(teacher_itms_total[5m])",
      "sum by (colour) (rate(teacher_items_total[5m]))",
      'teacher_items_total{colour="red"}',
      'rate(teacher_draft_tokens_total{outcome="acepted"}[5m])',
    ])
      assert.throws(() => assertAnswerable(wrong), assert.AssertionError);
  });
});
