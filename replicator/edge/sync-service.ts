import { EventEmitter } from "node:events";
import { TomboloError } from "../change/error.ts";
import type { SyncProgress } from "../full-sync/progress.ts";
import type { MediumOutcome } from "../medium/import-media.ts";
import type { Node } from "../node/node.ts";
import type { ReconcileOutcome } from "../node/reconcile-desk.ts";
import type { TopologyNode } from "../topology/topology.ts";
import { EdgeAgent, type EdgeState } from "./agent.ts";
import type { Credential } from "./credential.ts";
import { Edge, type EdgeCounts } from "./edge.ts";
import { decideConflict, type EdgeConflict, type EdgeDecision, edgeConflicts } from "./edge-conflicts.ts";
import { hubStatus } from "./hub-answers.ts";
import { edgeCredential, keepCredential } from "./open-edge.ts";

export interface SyncServiceOptions {
  /** A SQLite file (or a better-sqlite3 database of one, which stays the application's), or the URL of a Postgres. */
  readonly database: string | { readonly name: string };
  /** For the first time: the hub's address and the one-time code of its operator. Afterwards the credential file has what is needed. */
  readonly enrol?: { readonly hub: string; readonly code: string; readonly ca?: string };
  /** Where the credential is kept; beside a SQLite file where it is not said. */
  readonly credential?: string;
  /** The hub is asked at least this often, milliseconds; 60 000 where it is not said. */
  readonly intervalMs?: number;
  /** Paths of PEM files, for changes on files: `key` signs what is exported here, `trust` is the hub's public key. */
  readonly media?: { readonly key?: string; readonly trust?: string; readonly passphrase?: string };
}

/** What the service tells. Listeners must not throw. */
export interface SyncServiceEvents {
  /** Whether the hub can be reached, and whether something is moving. */
  status: [state: EdgeState];
  /** So many changes of the hub were applied in the exchange at hand. */
  progress: [progress: { readonly received: number }];
  /** An exchange moved something. */
  completed: [counts: EdgeCounts];
  /** The tables are being filled anew, because the hub's operator or something that was interrupted wants it: where that is. */
  fullSync: [progress: SyncProgress];
  /** The tables were compared with the hub's, as the hub's operator wants: `clean`, `repaired`, `drift`, `stopped` or `failed`. */
  reconciled: [result: { readonly outcome: ReconcileOutcome }];
  /** Changes of this edge conflicted: so many, `open` of them wait for a person; `conflicts()` has them. */
  conflict: [conflicts: { readonly count: number; readonly open: number }];
  /** An exchange failed; it is tried again in so many milliseconds, or not at all (null) when it was `syncNow`. */
  failed: [error: unknown, retryInMs: number | null];
}

export interface SyncStatus {
  readonly node: string;
  readonly hub: string;
  /** `online` when the hub answered now. */
  readonly state: "online" | "offline";
  /** Changes here that the hub has not confirmed. */
  readonly pendingUp: number;
  /** Changes at the hub for this edge; null while it cannot be asked. */
  readonly pendingDown: number | null;
  /** Changes of this edge that the hub has set aside, as it last told. */
  readonly refused: number;
  readonly openConflicts: number | null;
  /** RFC 3339; null before the first. */
  readonly lastReceivedAt: string | null;
  readonly lastSentAt: string | null;
}

/** A file that was written. */
export interface PendingExport {
  /** Of this edge to its hub: the first is 1. */
  readonly number: number;
  readonly changes: number;
}

/** What files of the hub brought. */
export interface ChangesImport {
  readonly received: number;
  readonly parked: number;
  /** Files that were passed over: taken before, or older. */
  readonly passedOver: readonly string[];
  /** The hub has to hear of this edge, by a file or over HTTP, before it can send the rest. */
  readonly answerNeeded: boolean;
}

const INTERVAL_MS = 60_000;

/**
 * Keeps an application's database in step with its hub: in the background between `start` and `stop`, or when it is told to (`syncNow`). The
 * application goes on reading and writing its database as it likes; triggers note what it changes.
 */
export class SyncService {
  readonly #events = new EventEmitter<SyncServiceEvents>();
  readonly #edge: Edge;
  readonly #credential: Credential;
  readonly #intervalMs: number;
  readonly #media: NonNullable<SyncServiceOptions["media"]>;
  #isStarted = false;
  /** The background waits while something is done alone. */
  #isAlone = false;
  #running: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
  #syncing: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  private constructor(edge: Edge, credential: Credential, options: SyncServiceOptions) {
    this.#edge = edge;
    this.#credential = credential;
    this.#intervalMs = options.intervalMs ?? INTERVAL_MS;
    this.#media = options.media ?? {};
  }

  /** Opens the database; enrols where that has not been done. Throws `EDGE_NOT_ENROLLED`, `EDGE_CREDENTIAL`, and what the hub says to a code. */
  static async open(options: SyncServiceOptions): Promise<SyncService> {
    const database = typeof options.database === "string" ? options.database : options.database.name;
    const place = { database, ...(options.credential !== undefined && { credential: options.credential }) };
    const credential = await edgeCredential(place, options.enrol);
    const edge = new Edge({
      credential,
      database,
      openNode,
      observer: { applied() {}, caughtUp() {}, failed() {}, recovered() {}, notice() {} },
      now: Date.now,
      keep: (changed) => keepCredential(place, changed),
    });
    return new SyncService(edge, credential, options);
  }

  on<E extends keyof SyncServiceEvents>(event: E, listener: (...told: SyncServiceEvents[E]) => void): this {
    this.#events.on(event, listener as never);
    return this;
  }

  off<E extends keyof SyncServiceEvents>(event: E, listener: (...told: SyncServiceEvents[E]) => void): this {
    this.#events.off(event, listener as never);
    return this;
  }

  /** Begins to sync in the background; does nothing where it does already. To be offline is no error. */
  start(): void {
    this.#isStarted = true;
    this.#goOn();
  }

  #goOn(): void {
    if (!this.#isStarted || this.#isAlone || this.#running !== undefined || this.#closing.signal.aborted) return;
    const stop = new AbortController();
    const agent = new EdgeAgent({
      edge: this.#edge,
      intervalMs: this.#intervalMs,
      watcher: {
        status: (state) => this.#events.emit("status", state),
        progress: (received) => this.#events.emit("progress", { received }),
        completed: (counts) => this.#completed(counts),
        fullSync: (progress) => this.#events.emit("fullSync", progress),
        reconciled: ({ outcome }) => this.#events.emit("reconciled", { outcome }),
        failed: (error, retryInMs) => this.#events.emit("failed", error, retryInMs),
      },
    });
    this.#running = { stop, ended: agent.run(stop.signal) };
  }

  /** Ends it after the packet in hand. It may be started again. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    await this.#pause();
  }

  async #pause(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.stop.abort();
    await running?.ended;
  }

  /** Exchanges until nothing is pending on either side that was when it began; answers what moved. Beside a running service as well. Throws why it could not. */
  syncNow(): Promise<EdgeCounts> {
    return this.#alone(() => this.#syncOnce());
  }

  /**
   * Writes what the hub does not have yet to a new file, signed, for a way that no line goes: at the hub `tombolo import` takes it. It counts as sent
   * once the hub has said so, by a file of its own or over HTTP. Works offline once the hub has been in touch. `again`: what was exported
   * since then is lost. Throws `MEDIUM_KEY`, `FILE_EXISTS` (usage).
   */
  exportPending(file: string, { again = false }: { readonly again?: boolean } = {}): Promise<PendingExport> {
    return this.#alone(async () => {
      const [{ exportFromEdge }, { signingKey }] = await Promise.all([import("./edge-media.ts"), import("../medium/keys.ts")]);
      const key = await signingKey(needed(this.#media.key, "key"));
      const { number, changes } = await exportFromEdge(this.#edge, { file, key, passphrase: this.#media.passphrase ?? null, again });
      return { number, changes };
    });
  }

  /**
   * Takes files that the hub exported for this edge, in any order; what came before, also over HTTP, is passed over. Throws `MEDIUM_KEY`, `MEDIUM_PASSPHRASE`,
   * `MEDIUM_LINK` (usage), `MEDIUM_GAP`, `MEDIUM_DAMAGED`, `MEDIUM_SIGNATURE`, `MEDIUM_FORK`, `MEDIUM_ANSWER` (operator).
   */
  importChanges(files: string | readonly string[]): Promise<ChangesImport> {
    return this.#alone(async () => {
      const [{ importAtEdge }, { trustedKey }] = await Promise.all([import("./edge-media.ts"), import("../medium/keys.ts")]);
      const trust = await trustedKey(needed(this.#media.trust, "trust"));
      let [received, parked, answerNeeded] = [0, 0, false];
      const passedOver: string[] = [];
      const told = ({ medium, taken }: MediumOutcome): void => {
        if (taken === null) passedOver.push(medium.file);
        else {
          received += taken.changes;
          parked += taken.parked;
          answerNeeded ||= taken.isPartial || taken.isOvertaken;
          this.#events.emit("progress", { received });
        }
      };
      await importAtEdge(this.#edge, { files: [files].flat(), trust, passphrase: this.#media.passphrase ?? null, told });
      if (received + parked > 0) this.#completed({ sent: 0, received, conflicts: 0, open: 0, parked });
      return { received, parked, passedOver, answerNeeded };
    });
  }

  /** What waits on either side; changes nothing, and works offline. */
  async status(): Promise<SyncStatus> {
    const { node, hub } = this.#credential;
    const parent = await this.#edge.ofParent();
    const told = await hubStatus(this.#edge.client, node).catch(() => null);
    return {
      node,
      hub,
      state: told === null ? "offline" : "online",
      pendingUp: parent?.pendingChanges ?? 0,
      pendingDown: told?.pending_changes ?? null,
      refused: told?.parked_changes ?? parent?.refusedChanges ?? 0,
      openConflicts: told?.open_conflicts ?? null,
      lastReceivedAt: parent?.lastSyncIn ?? null,
      lastSentAt: parent?.lastSyncOut ?? null,
    };
  }

  /** Conflicts about changes of this edge, newest first, as the hub has recorded them. Asks the hub. */
  conflicts(options: { readonly open?: boolean; readonly limit?: number; readonly before?: string } = {}): Promise<EdgeConflict[]> {
    return edgeConflicts(this.#edge.client, this.#credential.node, options);
  }

  /** Decides one; the decision comes down like any change. Throws `CONFLICT_ROW_CHANGED` when the row has changed since, and nothing is done. */
  resolve(id: string, decision: EdgeDecision): Promise<EdgeConflict> {
    return decideConflict(this.#edge.client, this.#credential.node, id, decision);
  }

  /** Stops, and closes the service's own connection to the database. What `syncNow` is doing ends after the packet in hand, and throws. */
  async close(): Promise<void> {
    // of a hub that is written to all the time it would not end for long
    this.#closing.abort();
    await this.stop();
    await this.#syncing;
    await this.#edge.close();
  }

  /** One thing at a time: what is in the background ends first, and goes on afterwards. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const working = this.#syncing.then(async () => {
      this.#isAlone = true;
      await this.#pause();
      try {
        return await work();
      } finally {
        this.#isAlone = false;
        this.#goOn();
      }
    });
    this.#syncing = working.catch(() => undefined);
    return working;
  }

  async #syncOnce(): Promise<EdgeCounts> {
    this.#events.emit("status", "syncing");
    try {
      const counts = await this.#edge.sync(this.#closing.signal, (received) => this.#events.emit("progress", { received }));
      this.#completed(counts);
      this.#events.emit("status", "online");
      return counts;
    } catch (error) {
      if (!this.#closing.signal.aborted) {
        this.#events.emit("failed", error, null);
        this.#events.emit("status", "offline");
      }
      throw error;
    }
  }

  #completed(counts: EdgeCounts): void {
    if (counts.conflicts > 0) this.#events.emit("conflict", { count: counts.conflicts, open: counts.open });
    this.#events.emit("completed", counts);
  }
}

function needed(file: string | undefined, option: "key" | "trust"): string {
  if (file !== undefined) return file;
  const hint = "Make a pair of keys with `tombolo keys create FILE` at each end; the public one goes to the other.";
  throw new TomboloError(`the service was opened without media.${option}`, { code: "MEDIUM_KEY", kind: "usage", hint });
}

/** Each engine is loaded when it is first needed: an application with a SQLite file has no use for a Postgres driver. */
async function openNode(config: TopologyNode): Promise<Node> {
  if (config.type === "sqlite") {
    const { openSqliteNode } = await import("../node/sqlite/open.ts");
    return openSqliteNode({ name: config.name, path: config.path });
  }
  const { openPostgresNode } = await import("../node/postgres/open.ts");
  return openPostgresNode({ name: config.name, url: config.url });
}
