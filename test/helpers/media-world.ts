import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { exportFromEdge, importAtEdge } from "../../replicator/edge/edge-media.ts";
import { groupLink } from "../../replicator/hub/group-link.ts";
import { manifestOf } from "../../replicator/link/manifest.ts";
import { exportMedium } from "../../replicator/medium/export-medium.ts";
import { importMedia, type MediumOutcome } from "../../replicator/medium/import-media.ts";
import type { Imported } from "../../replicator/medium/import-medium.ts";
import type { Place } from "../../replicator/medium/medium-state.ts";
import { MediumReader } from "../../replicator/medium/read-medium.ts";
import type { TravelOptions } from "../../replicator/medium/traveller.ts";
import { type EdgeWorld, edgeWorld, type TestEdge } from "./edge-world.ts";
import { keys } from "./journey.ts";
import { silent, type TestNode } from "./nodes.ts";
import { both, type Engine } from "./pair.ts";

const judge = createJudge(createModuleRunner());

/** A counter shows whatever is applied twice. */
const TABLES = [{ name: "item", policy: "merge" as const, mergeColumns: { qty: "counter" as const }, otherwise: "child_wins" as const }];

/** An edge of a group and its hub, between which changes go over HTTP or on files. */
export class MediaWorld {
  readonly world: EdgeWorld;
  readonly edge: TestEdge;
  readonly folder = mkdtempSync(join(tmpdir(), "tombolo-media-"));
  #count = 0;

  private constructor(world: EdgeWorld, edge: TestEdge) {
    this.world = world;
    this.edge = edge;
  }

  static async open(engine: Engine): Promise<MediaWorld> {
    const schema = both("create table item (id text primary key not null, note text, qty integer not null)");
    const world = await edgeWorld({ engine, schema, tables: TABLES });
    return new MediaWorld(world, await world.edge("shop"));
  }

  get nodes(): { readonly hub: TestNode; readonly edge: TestNode } {
    return { hub: this.world.database, edge: this.edge };
  }

  #hub(): TravelOptions & { readonly link: TravelOptions["link"] } {
    const { database, topology } = this.world;
    const link = groupLink(topology, { node: this.edge.node.name, group: "edges", params: {} });
    return { node: database.node, link, topology, judge, observer: silent, now: Date.now };
  }

  http(edge = this.edge.edge) {
    return edge.sync(new AbortController().signal);
  }

  async export(from: "hub" | "edge", { again = false } = {}): Promise<string> {
    const file = join(this.folder, `${this.#count++}.medium`);
    if (from === "edge") await exportFromEdge(this.edge.edge, { file, key: keys.store.privateKey, passphrase: null, again });
    else {
      const at = this.#hub();
      const manifest = manifestOf({ topology: at.topology, link: at.link, group: "edges", engine: at.node.engine });
      await exportMedium({ ...at, manifest, file, key: keys.hub.privateKey, passphrase: null, again });
    }
    return file;
  }

  /** What came of each, in order. */
  async import(at: "hub" | "edge", files: readonly string[]): Promise<(Imported | Place)[]> {
    const outcomes: (Imported | Place)[] = [];
    const told = ({ place, taken }: MediumOutcome): void => void outcomes.push(taken ?? place);
    if (at === "edge") await importAtEdge(this.edge.edge, { files, trust: keys.hub.publicKey, passphrase: null, told });
    else {
      const open = await Promise.all(files.map((file) => MediumReader.open(file)));
      try {
        const media = [];
        for (const medium of open) media.push({ medium, digest: await medium.verify(keys.store.publicKey) });
        await importMedia({ media, passphrase: null, travel: async () => this.#hub(), told });
      } finally {
        for (const medium of open) await medium.close();
      }
    }
    return outcomes;
  }

  /** Both hold the same; answers it as `id note qty`. */
  async same(): Promise<string[]> {
    const [hub, edge] = await Promise.all([this.nodes.hub, this.nodes.edge].map((each) => each.rows("select * from item order by id")));
    expect(edge).toEqual(hub);
    return (hub ?? []).map((row) => row.join(" "));
  }

  async close(): Promise<void> {
    await this.world.close();
    rmSync(this.folder, { recursive: true });
  }
}
