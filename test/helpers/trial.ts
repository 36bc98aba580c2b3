import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Application, postgresApplication, sqliteApplication } from "./application.ts";
import { type Environment, freePort, type Started, start, tombolo, until } from "./command.ts";
import { freshDatabase } from "./postgres.ts";

export type Engine = "postgres" | "sqlite";
export type Side = "hub" | "edge";

/** A hub's service and an edge's agent, as processes that may die, over two databases. */
export class Trial {
  readonly applications: { readonly hub: Application; readonly edge: Application };
  readonly #folder: string;
  readonly #url: string;
  readonly #edgeDatabase: string;
  readonly #close: (() => Promise<void>)[];
  readonly #processes: { hub?: Started; edge?: Started } = {};
  #code: string | undefined;

  private constructor(made: {
    readonly folder: string;
    readonly url: string;
    readonly edgeDatabase: string;
    readonly applications: Trial["applications"];
    readonly close: (() => Promise<void>)[];
  }) {
    this.applications = made.applications;
    this.#folder = made.folder;
    this.#url = made.url;
    this.#edgeDatabase = made.edgeDatabase;
    this.#close = made.close;
  }

  /** `tables`: of the channel, as the topology has them. `ddl` is run at both. */
  static async make(options: {
    readonly engines: { readonly [side in Side]: Engine };
    readonly ddl: string;
    readonly tables: string;
  }): Promise<Trial> {
    const { engines, ddl, tables } = options;
    const folder = mkdtempSync(join(tmpdir(), "tombolo-trial-"));
    const close: (() => Promise<void>)[] = [];
    const database = async (side: Side): Promise<{ place: string; application: Application }> => {
      if (engines[side] === "sqlite") {
        const path = join(folder, `${side}.db`);
        return { place: path, application: sqliteApplication(path) };
      }
      const made = await freshDatabase();
      close.push(() => made.drop());
      return { place: made.url, application: await postgresApplication(made.url) };
    };
    const [hub, edge] = [await database("hub"), await database("edge")];
    for (const { application } of [hub, edge]) {
      await application.write(ddl);
      close.push(() => application.close());
    }
    const url = `http://127.0.0.1:${await freePort()}`;
    const node = engines.hub === "postgres" ? `type: postgres, url: "${hub.place}"` : `type: sqlite, path: "${hub.place}"`;
    writeFileSync(
      join(folder, "topology.yaml"),
      `version: 1
name: trial
nodes: [{ name: hub, ${node} }]
channels: [{ name: all, tables: [${tables}] }]
groups: [{ name: stores, parent: hub, params: [region], channels: [all] }]
hub: { listen: "${url.slice("http://".length)}" }
metrics: off
`,
    );
    const applications = { hub: hub.application, edge: edge.application };
    const trial = new Trial({ folder, url, edgeDatabase: edge.place, applications, close: close.reverse() });
    await trial.#command(["apply", "--yes"]);
    return trial;
  }

  /** The process of a side; undefined before it was first begun. */
  process(side: Side): Started | undefined {
    return this.#processes[side];
  }

  hasEnded(side: Side): boolean {
    const child = this.#processes[side]?.process;
    return child === undefined || child.exitCode !== null || child.signalCode !== null;
  }

  async begin(side: Side, env: Environment = {}): Promise<void> {
    const { args } = side === "hub" ? { args: ["-c", this.#topology, "serve"] } : { args: this.#edgeArgs() };
    this.#processes[side] = start([...args, "--log-format", "json"], env);
    if (side === "hub") await until("the hub answers, or has died", async () => this.hasEnded("hub") || (await this.#answers()));
  }

  async end(side: Side, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.#processes[side]?.stop(signal);
  }

  /** As a new store, whatever the database was before: the next start of the edge enrols. */
  async enrol(name: string): Promise<void> {
    rmSync(this.#credential, { force: true });
    const made = await this.#command([
      "tokens",
      "create",
      "--role",
      "node",
      "--group",
      "stores",
      "--node",
      name,
      "--param",
      "region=north",
      "--expires",
      "20d",
    ]);
    this.#code = made.trim();
  }

  /** Asks the edge to begin anew with its hub, once it comes. */
  async resync(name: string): Promise<void> {
    await this.#command(["nodes", "resync", name, "--no-wait", "--yes"]);
  }

  async close(): Promise<void> {
    for (const side of ["edge", "hub"] as const) await this.end(side);
    for (const each of this.#close) await each();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #topology(): string {
    return join(this.#folder, "topology.yaml");
  }

  get #credential(): string {
    return join(this.#folder, "credential.json");
  }

  #edgeArgs(): string[] {
    const code = this.#code === undefined ? [] : ["--hub", this.#url, "--code", this.#code];
    return ["edge", "--database", this.#edgeDatabase, "--credential", this.#credential, "--interval", "1s", ...code];
  }

  async #answers(): Promise<boolean> {
    return fetch(`${this.#url}/v1/ping`).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  async #command(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await tombolo(["-c", this.#topology, ...args]);
    if (code !== 0) throw new Error(`tombolo ${args[0]} ended with ${code}: ${stderr}`);
    return stdout;
  }
}
