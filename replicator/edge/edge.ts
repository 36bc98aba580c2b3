import { isPassing, TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import { PACKET_PROTOCOLS } from "../change/packet-limits.ts";
import type { Judge } from "../change/verdict.ts";
import type { FullSyncResult } from "../full-sync/full-sync.ts";
import type { FullSyncWatcher } from "../full-sync/options.ts";
import { wantedTables } from "../lifecycle/tree.ts";
import type { LinkObserver } from "../link/link.ts";
import { LinkEnd } from "../link/link-end.ts";
import { edgeConfig, edgeTopology, type Manifest, manifestId } from "../link/manifest.ts";
import { MOST_SYNC_ROUNDS } from "../link/sync-rounds.ts";
import type { TravelOptions } from "../medium/traveller.ts";
import type { PeerStatus } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import type { LinkReport } from "../reconcile/reconcile-link.ts";
import type { TopologyNode } from "../topology/topology.ts";
import type { Credential } from "./credential.ts";
import { beginAnewWithHub } from "./edge-anew.ts";
import { EdgeDatabase } from "./edge-database.ts";
import { CHUNK_ROWS, type EdgeFullSyncOptions, fillFromHub, interruptedFullSync, toBeFilled } from "./edge-full-sync.ts";
import { EdgeLink, type Exchanged, type ExchangeOptions, INTERRUPTED, type WishedSync } from "./edge-link.ts";
import type { EdgeLinkPlace } from "./edge-link-place.ts";
import { pushToHub } from "./edge-push.ts";
import { ALL_TABLES, type EdgeReconcileOptions, reconcileWithHub } from "./edge-reconcile.ts";
import { hubManifest, hubStatus } from "./hub-answers.ts";
import { HubClient } from "./hub-client.ts";
import { takeNewToken } from "./new-token.ts";

export interface EdgeOptions {
  readonly credential: Credential;
  /** A SQLite file, or the URL of a Postgres. */
  readonly database: string;
  readonly openNode: (config: TopologyNode) => Promise<Node>;
  readonly observer: LinkObserver;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Called with what is to be kept of it, when that changes. */
  readonly keep?: (credential: Credential) => Promise<void>;
}

/** What an exchange, or several, moved. */
export type EdgeCounts = Pick<Exchanged, "sent" | "received" | "conflicts" | "open" | "parked">;

interface ReadyLink {
  readonly link: EdgeLink;
  readonly manifest: string;
  readonly parent: NodeName;
  readonly place: EdgeLinkPlace;
}

/** An edge judges nothing: its parent does. */
const NO_JUDGE: Judge = () => {
  throw new TomboloError("an edge was asked to decide a conflict", { code: "INTERNAL", kind: "fatal" });
};
/** Another process on the same database shows as one of these; reading the hub's state anew settles it, unless it is really so. */
const SETTLED_BY_ASKING_ANEW = new Set(["PACKET_GAP", "PACKET_FORK", "PEER_UNKNOWN", "DATABASE_REPLACED"]);
const NOT_INSTALLED = new Set(["NOT_INSTALLED", "NODE_NOT_INSTALLED"]);
/** Somebody at the hub wants it so. */
const UNWATCHED: FullSyncWatcher = { progress() {}, note() {}, goAhead: async () => true };
/** A token that is still good for less than this is renewed. */
const RENEW_BEFORE_MS = 30 * 86_400_000;
/** Where one clock or the other is so wrong that a new token seems to have ended. */
const RENEW_AGAIN_MS = 86_400_000;
const ANEW_ATTEMPTS = 3;
/** How often it is looked whether an application has altered a table. */
const LOOK_AT_TABLES_MS = 5_000;

/** A database and its hub. Opens the database and speaks to the hub when either is first needed, so that it can be made while the hub is away. */
export class Edge {
  readonly client: HubClient;
  readonly #options: EdgeOptions;
  #credential: Credential;
  readonly #database: EdgeDatabase;
  #link: ReadyLink | undefined;
  #begun = false;
  /** Of a token that never lives for longer than `RENEW_BEFORE_MS`, half its life is used. */
  #renewNotBefore = 0;
  /** It has rows of the hub's, or gets them by packets. */
  #isFilled = false;
  /** By which of the hub's topologies the database was last brought in line. */
  #installed: string | undefined;
  #lookedAtTables = 0;
  /** What of the tables was not as it was captured, when it was looked last. */
  #drifts = "";

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.#credential = options.credential;
    const { hub, token, ca, node } = options.credential;
    this.#database = new EdgeDatabase(() => options.openNode(edgeConfig(node, options.database)));
    this.client = new HubClient({ hub, token, ca });
  }

  /** The database. Throws what opening it throws; the next call tries again. */
  node(): Promise<Node> {
    if (this.#database.leave()) {
      [this.#link, this.#installed] = [undefined, undefined];
      [this.#begun, this.#isFilled] = [false, false];
    }
    return this.#database.node();
  }

  /** The hub's name; undefined before the first exchange. */
  get parent(): string | undefined {
    return this.#link?.parent;
  }

  /** Up to where the last exchange looked into the edge's log; null before the first. */
  get position(): EdgeLink["position"] | null {
    return this.#link?.link.position ?? null;
  }

  /** One exchange. Before the first one, and when the hub's topology has changed, the database is brought in line with it. */
  async exchange(options: ExchangeOptions): Promise<Exchanged | typeof INTERRUPTED> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#fillFirst(options);
        await this.#followTables();
        const { link, manifest } = await this.#ready(options.signal);
        const { interrupt } = options;
        const moved = interrupt === undefined ? await link.exchange(options) : await link.exchange({ ...options, interrupt });
        if (moved !== INTERRUPTED && moved.manifest !== manifest) this.#link = undefined;
        return moved;
      } catch (error) {
        if (attempt >= ANEW_ATTEMPTS || !(error instanceof TomboloError) || !SETTLED_BY_ASKING_ANEW.has(error.code)) throw error;
      }
    }
  }

  /** Exchanges until nothing is pending on either side that was when it began, and does what the hub asks for besides. */
  async sync(signal: AbortSignal, progress?: (received: number) => void): Promise<EdgeCounts> {
    const filled = await this.interrupted(signal);
    // what is to begin anew does not go on
    const goesOn = filled !== null && (await hubStatus(this.client, this.#options.credential.node, signal)).resync === null;
    if (goesOn) await this.#fill({ ...filled, verify: filled.terms.verify === true }, { resume: true, signal });
    const { counts, last } = await this.#rounds(signal, progress);
    if (last.fullSync === null && last.reconcile === null) return counts;
    if (last.fullSync !== null) await this.#fill(last.fullSync, { resume: false, signal });
    const carry = async (): Promise<void> => void (await this.#rounds(signal));
    if (last.reconcile !== null) await this.reconcile({ ...last.reconcile, ...ALL_TABLES, carry, signal });
    const { counts: more } = await this.#rounds(signal);
    return sumOf(counts, more);
  }

  async #rounds(
    signal: AbortSignal,
    progress?: (received: number) => void,
  ): Promise<{ readonly counts: EdgeCounts; readonly last: Pick<Exchanged, "fullSync" | "reconcile"> }> {
    let counts: EdgeCounts = NO_COUNTS;
    let last: Pick<Exchanged, "fullSync" | "reconcile"> = { fullSync: null, reconcile: null };
    for (let round = 0; round < MOST_SYNC_ROUNDS; round++) {
      const before = counts.received;
      const moved = await this.exchange({
        final: true,
        signal,
        ...(progress && { progress: (received: number) => progress(before + received) }),
      });
      if (moved === INTERRUPTED) break;
      counts = sumOf(counts, moved);
      last = moved;
      if (moved.resync !== null) {
        await this.resync(moved.resync, { watcher: UNWATCHED, signal });
        continue;
      }
      if (moved.sent + moved.received + moved.parked + moved.wanted + moved.started === 0) break;
    }
    return { counts, last };
  }

  async #fill(
    { tables, direction, verify }: Omit<WishedSync, "run">,
    { resume, signal }: { readonly resume: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const given = { tables, direction, resume, verify, backUp: true, watcher: UNWATCHED, signal, onAbort: "interrupted" } as const;
    const { unverified } = await this.fullSync(given);
    if (unverified !== null) throw unverified;
  }

  /** An edge that has nothing yet, of a hub that has much, is filled in pieces that survive an interruption, and that many edges may share; and not by a packet. */
  async #fillFirst({ signal, filling = UNWATCHED.progress }: ExchangeOptions): Promise<void> {
    if (this.#isFilled) return;
    const { place } = await this.#ready(signal);
    const { node, link } = place;
    try {
      const tables = (await node.target.peer(link.parent)).tables.size > 0 ? null : await toBeFilled(place, signal);
      if (tables !== null) {
        const left = await this.interrupted(signal);
        // what has no row needs no copy before
        const given = { tables, direction: "pull", resume: left?.direction === "pull", backUp: false } as const;
        await this.fullSync({ ...given, watcher: { ...UNWATCHED, progress: filling }, signal, onAbort: "interrupted" });
      }
    } catch (error) {
      // whatever else is in the way is told by the exchange, which fills the tables that it can
      if (isPassing(error) || signal.aborted || !(error instanceof TomboloError)) throw error;
    }
    this.#isFilled = true;
  }

  /** Makes the tables what the hub has for this edge, or the hub take over what they hold; exchanges may go on meanwhile. Throws what `fullSync` throws, and what the hub answers. */
  async fullSync(options: EdgeFullSyncOptions): Promise<FullSyncResult> {
    const { place } = await this.#ready(options.signal);
    const { direction = "pull", ...rest } = options;
    const given = { verify: false, chunkRows: CHUNK_ROWS, ...rest, judge: NO_JUDGE, now: this.#options.now };
    return direction === "push" ? pushToHub(place, given) : fillFromHub(place, given);
  }

  /**
   * Begins anew with the hub, where that wants it because the memories of the two no longer agree, and fills one from the other. Nothing else may be under way with the hub. Throws what
   * `beginAnewWithHub` and `fullSync` throw; afterwards, what the hub wants next is where to go on.
   */
  async resync(
    { run, tables, direction, verify }: WishedSync,
    { watcher, signal }: { readonly watcher: FullSyncWatcher; readonly signal: AbortSignal },
  ): Promise<FullSyncResult> {
    const { place } = await this.#ready(signal);
    await beginAnewWithHub(place, run, signal);
    // what was remembered of the hub is of before
    this.#link = undefined;
    return this.fullSync({ tables, direction, verify, resume: false, backUp: true, watcher, signal, onAbort: "interrupted" });
  }

  /** Compares the tables with the hub's. Throws what the hub answers. */
  async reconcile(options: EdgeReconcileOptions): Promise<LinkReport> {
    const { place } = await this.#ready(options.signal);
    return reconcileWithHub(place, { ...options, now: this.#options.now });
  }

  /** A full sync that something interrupted; null where there is none to go on with. */
  async interrupted(signal: AbortSignal): ReturnType<typeof interruptedFullSync> {
    const { place } = await this.#ready(signal);
    return interruptedFullSync(place.node, place.link.parent, this.#options.now());
  }

  /** Gets a new token where the one that it has ends soon, by the clock of the hub, which says when: an edge that is in touch stays enrolled. */
  async renewToken(): Promise<void> {
    const { expiresAt = null } = this.#credential;
    const now = this.client.hubNow ?? this.#options.now();
    if (expiresAt === null || Date.parse(expiresAt) - now > RENEW_BEFORE_MS || now < this.#renewNotBefore) return;
    const renewed = await takeNewToken(this.client, this.#credential);
    await this.#keep({ ...this.#credential, ...renewed });
    const { expiresAt: next = null } = renewed;
    const leftMs = next === null ? 0 : Date.parse(next) - now;
    this.#renewNotBefore = now + (leftMs > 0 ? leftMs / 2 : RENEW_AGAIN_MS);
  }

  /** What the database itself knows of its exchange with the hub; null before the first. Works offline. */
  async ofParent(): Promise<PeerStatus | null> {
    const node = await this.node();
    try {
      const { peers } = await node.installation.status();
      return peers.find(({ role }) => role === "parent") ?? null;
    } catch (error) {
      // nothing of ours is in the database yet
      if (error instanceof TomboloError && NOT_INSTALLED.has(error.code)) return null;
      throw error;
    }
  }

  /**
   * The edge's end of its link, for files that travel. Works offline where the hub has been in touch since the edge was enrolled; else it is asked, and
   * whatever that throws is thrown.
   */
  async travel(): Promise<TravelOptions> {
    if (this.#credential.told === undefined || this.#credential.fresh === true) await this.#ready(new AbortController().signal);
    // what the next exchange remembers of the hub may be older than what a file brings
    this.#link = undefined;
    const { told } = this.#credential;
    if (told === undefined) throw new TomboloError("the hub has told nothing", { code: "INTERNAL", kind: "fatal" });
    return this.#prepare(told.manifest);
  }

  /** What a file says of the hub's topology; of no effect where something newer is known. */
  async learn(manifest: Manifest, madeAt: string): Promise<void> {
    const { told, node } = this.#credential;
    if (manifest.node !== node || (told !== undefined && Date.parse(told.madeAt) >= Date.parse(madeAt))) return;
    this.#link = undefined;
    await this.#know(manifest, madeAt);
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.#database.close();
  }

  async #keep(credential: Credential): Promise<void> {
    await this.#options.keep?.(credential);
    this.#credential = credential;
  }

  /**
   * A database that was an edge before, under another name or until the hub forgot it, begins anew: as a node of its own, with all of its rows to be judged.
   * One whose token was only lost goes on.
   */
  async #begin(node: Node, parent: NodeName, signal: AbortSignal): Promise<void> {
    const { state } = (await hubStatus(this.client, this.#options.credential.node, signal)).report;
    const marks = await node.rejoin.marks(parent);
    if (state.number === 0n && marks !== null && (marks.sentPacket > 0n || marks.receivedPacket > 0n)) {
      await node.rejoin.renew();
      await node.rejoin.forget(parent);
      await node.media.forget(parent);
    }
    const { fresh: _, ...credential } = this.#credential;
    await this.#keep(credential);
  }

  async #ready(signal: AbortSignal): Promise<ReadyLink> {
    await this.node();
    if (this.#link !== undefined) return this.#link;
    const { credential } = this.#options;
    const { id, madeAt, features, manifest } = await hubManifest(this.client, credential.node, signal);
    const prepared = await this.#prepare(manifest);
    const { node, link } = prepared;
    const { parent } = manifest;
    if (credential.fresh === true && !this.#begun) await this.#begin(node, link.parent, signal);
    this.#begun = true;
    await this.#know(manifest, madeAt);
    const end = new LinkEnd({ ...prepared, role: "child", other: { name: link.parent, engine: parent.engine } });
    this.#link = {
      link: new EdgeLink({ end, client: this.client, node: credential.node, hubFeatures: features, manifest: id }),
      manifest: id,
      parent: link.parent,
      place: { node, end, link, topology: prepared.topology, client: this.client, hubFeatures: features },
    };
    return this.#link;
  }

  /** A table that an application has altered since is captured as it is now: nobody runs `apply` at an edge. */
  async #followTables(): Promise<void> {
    const now = this.#options.now();
    if (this.#installed === undefined || Math.abs(now - this.#lookedAtTables) < LOOK_AT_TABLES_MS) return;
    this.#lookedAtTables = now;
    const { installation } = await this.node();
    const drifts = (await installation.verify()).map(({ table, code }) => `${table} ${code}`).join();
    const isNews = drifts !== this.#drifts;
    this.#drifts = drifts;
    const told = this.#credential.told?.manifest;
    if (drifts === "" || !isNews || told === undefined) return;
    const { topology, edge } = edgeTopology(told, this.#options.database);
    try {
      await installation.apply(wantedTables(topology, edge));
    } catch (error) {
      // one that is gone, or has no key any more, does not stop the others; `status` tells of it
      if (isPassing(error) || !(error instanceof TomboloError)) throw error;
    }
    this.#link = undefined;
  }

  /** Brings the database in line with what the hub has told. */
  async #prepare(manifest: Manifest): Promise<TravelOptions> {
    const { database, observer, now } = this.#options;
    const node = await this.node();
    mustSpeakTheSame(manifest);
    const { topology, link, edge } = edgeTopology(manifest, database);
    const id = manifestId(manifest);
    if (this.#installed !== id) await node.installation.apply(wantedTables(topology, edge));
    this.#installed = id;
    return { node, link, topology, judge: NO_JUDGE, observer, now };
  }

  async #know(manifest: Manifest, madeAt: string): Promise<void> {
    const { told } = this.#credential;
    if (told !== undefined && manifestId(told.manifest) === manifestId(manifest)) return;
    await this.#keep({ ...this.#credential, told: { manifest, madeAt } });
  }
}

const NO_COUNTS: EdgeCounts = { sent: 0, received: 0, conflicts: 0, open: 0, parked: 0 };

const sumOf = (a: EdgeCounts, b: EdgeCounts): EdgeCounts => ({
  sent: a.sent + b.sent,
  received: a.received + b.received,
  conflicts: a.conflicts + b.conflicts,
  open: a.open + b.open,
  parked: a.parked + b.parked,
});

/** Before anything is sent: what neither could read is not tried. */
function mustSpeakTheSame({ protocol, parent }: Manifest): void {
  if (protocol.oldest <= PACKET_PROTOCOLS.newest && protocol.newest >= PACKET_PROTOCOLS.oldest) return;
  throw new TomboloError(
    `the hub ${parent.name} reads packets of protocol ${protocol.oldest} to ${protocol.newest}, and this edge writes others`,
    {
      code: "PACKET_PROTOCOL",
      kind: "operator",
      hint: protocol.oldest > PACKET_PROTOCOLS.newest ? "bring the edge to the hub's version" : "bring the hub to the edge's version",
    },
  );
}
