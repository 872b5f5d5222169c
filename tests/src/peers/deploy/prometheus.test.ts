import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

import { stringify } from "yaml";

import { everythingHappens } from "../../helpers/everything-happens.js";
import { freePort } from "../../helpers/free-port.js";
import { fixtureModel, startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { inRepository } from "../../helpers/repository.js";

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}

interface Rule {
  readonly name: string;
  readonly health: string;
  readonly state: string;
  readonly lastError?: string;
}

describe("Prometheus, scraping a teacher", { timeout: 120_000 }, () => {
  let dir: string;
  let server: LiveServer;
  let prometheus: ChildProcess;
  let port: number;

  const ask = async <T>(path: string): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as Record<string, unknown>;
    assert.equal(status, "success", `${path}: ${String(error)}`);
    return data as T;
  };
  const query = (expression: string) =>
    ask<{ readonly result: readonly unknown[] }>(`query?query=${encodeURIComponent(expression)}`);
  const rules = async () =>
    (
      await ask<{ readonly groups: readonly { readonly rules: readonly Rule[] }[] }>("rules")
    ).groups.flatMap((group) => group.rules);

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), "tandem-prometheus-"));
    server = await startLiveServer({
      model: fixtureModel("llama-tied"),
      args: ["--store-memory-bytes", "1000000"],
    });
    port = await freePort();
    copyFileSync(inRepository("deploy/compose/prometheus/alerts.yaml"), join(dir, "alerts.yaml"));
    const config = {
      global: { scrape_interval: "250ms", evaluation_interval: "250ms" },
      rule_files: ["alerts.yaml"],
      scrape_configs: [
        { job_name: "teacher", static_configs: [{ targets: [server.httpAddress] }] },
      ],
    };
    writeFileSync(join(dir, "prometheus.yaml"), stringify(config));
    const program = process.env["TANDEM_PROMETHEUS"] ?? "prometheus";
    const flags = {
      "config.file": join(dir, "prometheus.yaml"),
      "storage.tsdb.path": join(dir, "data"),
      "web.listen-address": `127.0.0.1:${port}`,
    };
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    prometheus = spawn(program, args, { stdio: "ignore" });
    await once(prometheus, "spawn");
    for (let tries = 0; tries < 300; tries++) {
      const ready = await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => undefined);
      if (ready?.ok === true) break;
      await delay(100);
    }
    // The second half of the traffic comes when the series are known: a rate needs two scrapes.
    await everythingHappens(server, 2);
    await everythingHappens(server, 2);
    await delay(500);
  });
  after(async () => {
    prometheus?.kill("SIGKILL");
    await server?.stop();
    rmSync(dir, { recursive: true });
  });

  it("has data for every panel of the dashboard", async () => {
    const file = inRepository("deploy/compose/grafana/dashboards/teacher.json");
    const { panels } = JSON.parse(readFileSync(file, "utf8")) as Dashboard;
    for (const { title, targets = [] } of panels) {
      for (const { expr } of targets) {
        const own = expr.replaceAll("$__rate_interval", "30s").replaceAll("$instance", ".*");
        const { result } = await query(own);
        assert.ok(result.length > 0, `${title} shows nothing: ${own}`);
      }
    }
  });

  it("evaluates every alert, and raises none but for what was refused", async () => {
    const states = await rules();
    assert.ok(states.length >= 7);
    for (const { name, health, state, lastError } of states) {
      assert.deepEqual([name, health], [name, "ok"], lastError);
      // Some of what happens is refused; how much of the rate's window that fills depends on the machine's pace.
      const expected = name === "TeacherRefuses" ? ["inactive", "pending"] : ["inactive"];
      assert.ok(expected.includes(state), `${name} is ${state}`);
    }
  });

  it("notices that a teacher is gone", async () => {
    await server.stop();
    const stateOf = async () => (await rules()).find(({ name }) => name === "TeacherDown")?.state;
    for (let tries = 0; tries < 100 && (await stateOf()) === "inactive"; tries++) await delay(100);
    // Firing is a matter of a minute.
    assert.equal(await stateOf(), "pending");
  });
});
