import type { NodeName } from "../../change/names.ts";
import type { MediumDesk } from "../medium-desk.ts";
import type { DatabaseFile } from "./connection.ts";
import { requireCurrent } from "./migrations.ts";

/** What a SQLite node remembers of files that travel. */
export class SqliteMediumDesk implements MediumDesk {
  readonly #file: DatabaseFile;

  constructor(options: { readonly file: DatabaseFile }) {
    this.#file = options.file;
  }

  async read(peer: NodeName): Promise<string | null> {
    return this.#file.read((connection) => {
      requireCurrent(connection, this.#file.node);
      return (connection.prepare("select state from tombolo_medium where peer = ?").pluck().get(peer) as string | undefined) ?? null;
    });
  }

  async replace(peer: NodeName, before: string | null, after: string): Promise<boolean> {
    const { changes } = await this.#file.write((connection) =>
      before === null
        ? connection.prepare("insert into tombolo_medium (peer, state) values (?, ?) on conflict do nothing").run(peer, after)
        : connection.prepare("update tombolo_medium set state = ? where peer = ? and state = ?").run(after, peer, before),
    );
    return changes === 1;
  }

  async told(peer: NodeName): Promise<string | null> {
    return this.#file.read((connection) => {
      const told = connection.prepare("select report from tombolo_told where peer_id = (select id from tombolo_peer where name = ?)");
      return (told.pluck().get(peer) as string | undefined) ?? null;
    });
  }

  async noteTold(peer: NodeName, report: string): Promise<void> {
    await this.#file.write((connection) =>
      connection
        .prepare(
          `insert into tombolo_told (peer_id, report) select id, ? from tombolo_peer where name = ?
            on conflict (peer_id) do update set report = excluded.report`,
        )
        .run(report, peer),
    );
  }

  async forget(peer: NodeName): Promise<void> {
    await this.#file.write((connection) => connection.prepare("delete from tombolo_medium where peer = ?").run(peer));
  }
}
