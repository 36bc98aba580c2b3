import { copyFileSync, existsSync } from "node:fs";
import { SyncService } from "../../../replicator/edge/sync-service.ts";
import { type Environment, type Started, start, until } from "../../helpers/command.ts";
import type { FilePlace } from "../places.ts";

export interface SeatOptions {
  readonly place: FilePlace;
  /** Where its line begins. */
  readonly hub: string;
  /** The one-time code. */
  readonly code: string;
  readonly kind: "service" | "process";
  /** With which a process is started. */
  readonly env: Environment;
}

/** An edge, with its agent: in this application, or a process beside it that may be killed. */
export class EdgeSeat {
  readonly place: FilePlace;
  readonly kind: "service" | "process";
  readonly #options: SeatOptions;
  readonly #credential: string;
  #service: SyncService | undefined;
  #process: Started | undefined;
  /** Codes of what went wrong, in order. */
  readonly #codes: string[] = [];
  readonly #ended: string[] = [];

  constructor(options: SeatOptions) {
    this.place = options.place;
    this.kind = options.kind;
    this.#options = options;
    this.#credential = `${options.place.path}.json`;
  }

  get name(): string {
    return this.place.name;
  }

  /** The first time, it enrols: returns when it is known at the hub. */
  async start(): Promise<void> {
    const { hub, code, env } = this.#options;
    const once = existsSync(this.#credential) ? undefined : { hub, code };
    if (this.kind === "process") {
      const place = ["--database", this.place.path, "--credential", this.#credential, "--interval", "1s"];
      this.#process = start(["edge", ...place, ...(once === undefined ? [] : ["--hub", hub, "--code", code])], env);
      await until(`${this.name} has enrolled`, () => existsSync(this.#credential));
      return;
    }
    const service = await SyncService.open({ ...this.#place(), ...(once !== undefined && { enrol: once }) });
    service.on("failed", (error) => this.#codes.push((error as { code?: string }).code ?? String(error)));
    service.start();
    this.#service = service;
  }

  /** A process is killed; an application closes its service. */
  async kill(): Promise<void> {
    if (this.#process !== undefined) this.#ended.push((await this.#process.stop("SIGKILL")).stderr);
    await this.#service?.close();
    [this.#process, this.#service] = [undefined, undefined];
  }

  /** As an application does that sees the network come back, or a person who does not want to wait. */
  async poke(): Promise<void> {
    const agent = this.#process;
    if (agent !== undefined) {
      // a signal ends a process that does not listen for it yet
      await until(`the agent of ${this.name} listens`, () => agent.stderr().includes("the edge is enrolled"));
      agent.process.kill("SIGHUP");
    }
    // it says by its events what comes of it
    this.#service?.syncNow().catch(() => undefined);
  }

  /** Ended although nobody killed it. */
  get hasDied(): boolean {
    const ended = this.#process?.process;
    return ended !== undefined && (ended.exitCode !== null || ended.signalCode !== null);
  }

  /** Everything that it has complained of so far. */
  complaints(): string {
    const [now, ...before] = [this.#process?.stderr() ?? "", ...this.#ended].map((text) => [...text.matchAll(/"code":"(\w+)"/g)]);
    return [...before, now]
      .flatMap((found) => (found ?? []).map(([, code]) => code))
      .concat(this.#codes)
      .join(" ");
  }

  /** A second agent, over a copy of the database and of the credential. */
  async clone(path: string): Promise<SyncService> {
    await this.place.copyTo(path);
    copyFileSync(this.#credential, `${path}.json`);
    const service = await SyncService.open({ ...this.#place(), database: path, credential: `${path}.json` });
    service.on("failed", () => undefined);
    service.start();
    return service;
  }

  #place(): { readonly database: string; readonly credential: string; readonly intervalMs: number } {
    return { database: this.place.path, credential: this.#credential, intervalMs: 1_000 };
  }
}
