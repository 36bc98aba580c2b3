import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, until } from "../helpers/command.ts";

export const RULES = fileURLToPath(new URL("../../dashboards/prometheus/alerts.yml", import.meta.url));

export interface Sample {
  readonly metric: { readonly [label: string]: string };
  readonly value: readonly [number, string];
}

export interface Prometheus {
  /** Throws what Prometheus says of an expression that it does not take. */
  query(expr: string): Promise<readonly Sample[]>;
  /** What is below /api/v1. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it is said there
  get(path: string): Promise<any>;
  close(): Promise<void>;
}

/** A Prometheus that scrapes one address every second, with the alert rules of the repository. */
export async function startPrometheus(target: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-prometheus-"));
  copyFileSync(RULES, join(folder, "alerts.yml"));
  writeFileSync(
    join(folder, "prometheus.yml"),
    `global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }
rule_files: [alerts.yml]
scrape_configs:
  - job_name: tombolo
    static_configs: [{ targets: ["${target}"] }]
`,
  );
  const address = `127.0.0.1:${await freePort()}`;
  const args = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${address}`];
  const child: ChildProcess = spawn("prometheus", args, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (log += text));
  const ended = once(child, "close");
  const api = async (path: string) => {
    const answer = await fetch(`http://${address}/api/v1/${path}`);
    const body = (await answer.json()) as { status: string; data: unknown; error?: string };
    if (body.status !== "success") throw new Error(`${path}: ${body.error}`);
    return body.data;
  };
  await until("Prometheus is ready", async () => {
    if (child.exitCode !== null) throw new Error(log);
    return (await fetch(`http://${address}/-/ready`)).ok;
  });
  return {
    get: api,
    query: async (expr) => ((await api(`query?query=${encodeURIComponent(expr)}`)) as { result: readonly Sample[] }).result,
    async close() {
      child.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
