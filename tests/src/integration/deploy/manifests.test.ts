import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { serverConfigSchema } from "@tandem/teacher-server/cli/server-config.js";
import { parse, parseAllDocuments } from "yaml";

import { fixtureModel, startLiveServer } from "../../helpers/live-server.js";
import { inRepository } from "../../helpers/repository.js";

const DEPLOY = inRepository("deploy");
const FILES = (readdirSync(DEPLOY, { recursive: true }) as string[]).filter((name) =>
  /\.(yaml|json|service|env)$|Dockerfile$/.test(name),
);

const read = (name: string) => readFileSync(join(DEPLOY, name), "utf8");

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Record<string, unknown>;
  readonly data?: Readonly<Record<string, string>>;
}

function manifest(name: string): Manifest {
  return parse(read(`kubernetes/base/${name}.yaml`)) as Manifest;
}

describe("the files of deploy", () => {
  for (const name of FILES.filter((file) => file.endsWith(".yaml"))) {
    it(`are YAML: ${name}`, () => {
      for (const document of parseAllDocuments(read(name))) assert.deepEqual(document.errors, []);
    });
  }

  it("set only options that the server has", () => {
    const known = Object.keys(serverConfigSchema.shape).map(
      (key) => `TANDEM_${key.replace(/[A-Z]/g, "_$&").toUpperCase()}`,
    );
    // Read by compose itself.
    const compose = ["TANDEM_MODEL", "TANDEM_THREADS"];
    const used = FILES.flatMap((name) => read(name).match(/\bTANDEM_[A-Z_]+/g) ?? []);
    assert.ok(used.length > 10);
    for (const variable of used)
      assert.ok(known.includes(variable) || compose.includes(variable), `${variable} is no option`);
  });

  it("include only resources that are there", () => {
    const { resources } = parse(read("kubernetes/base/kustomization.yaml")) as {
      readonly resources: readonly string[];
    };
    for (const resource of resources)
      assert.ok(existsSync(join(DEPLOY, "kubernetes/base", resource)), resource);
    assert.equal(resources.length + 1, readdirSync(join(DEPLOY, "kubernetes/base")).length);
  });

  it("name ports, claims, secrets and labels that fit together", () => {
    const { spec } = manifest("teacher");
    const { template, selector } = spec as unknown as {
      readonly selector: { readonly matchLabels: Record<string, string> };
      readonly template: {
        readonly metadata: { readonly labels: Record<string, string> };
        readonly spec: {
          readonly terminationGracePeriodSeconds: number;
          readonly volumes: readonly { readonly name: string }[];
          readonly containers: readonly {
            readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
            readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
            readonly securityContext: Record<string, unknown>;
          }[];
        };
      };
    };
    const [container] = template.spec.containers;
    assert.ok(container !== undefined);
    assert.deepEqual(template.metadata.labels, selector.matchLabels);
    assert.deepEqual(manifest("teacher-service").spec.selector, selector.matchLabels);
    assert.deepEqual(manifest("teacher-disruption-budget").spec.selector, selector);
    assert.deepEqual(manifest("teacher-network-policy").spec.podSelector, selector);
    assert.deepEqual(
      container.ports.map(({ name, containerPort }) => [name, containerPort]),
      [
        ["grpc", serverConfigSchema.shape.port.parse(undefined)],
        ["http", serverConfigSchema.shape.httpPort.parse(undefined)],
      ],
    );
    assert.deepEqual(
      container.volumeMounts.map(({ name }) => name),
      template.spec.volumes.map(({ name }) => name),
    );
    const { data = {} } = manifest("teacher-config");
    for (const path of Object.values(data).filter((value) => value.startsWith("/")))
      assert.ok(
        container.volumeMounts.some(({ mountPath }) => path.startsWith(mountPath)),
        `${path} is mounted`,
      );
    assert.ok(
      template.spec.terminationGracePeriodSeconds * 1000 > Number(data.TANDEM_SHUTDOWN_TIMEOUT_MS),
      "the pod outlives its drain",
    );
    assert.equal(container.securityContext.readOnlyRootFilesystem, true);
  });

  it("copy into the image only what is there", () => {
    const sources = read("docker/Dockerfile")
      .split("\n")
      .filter((line) => /^COPY (?!--from)/.test(line))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    assert.ok(sources.length > 5);
    for (const source of sources) assert.ok(existsSync(inRepository(source)), source);
  });

  it("ask a container for its health in a way that tells a live server from a dead one", async () => {
    const server = await startLiveServer({ model: fixtureModel("llama-tied") });
    const ask = () =>
      spawnSync(process.execPath, [join(DEPLOY, "docker/healthcheck.mjs")], {
        env: { TANDEM_HTTP_PORT: server.httpAddress.split(":")[1] },
      }).status;
    assert.equal(ask(), 0);
    await server.stop();
    assert.equal(ask(), 1);
  });
});
