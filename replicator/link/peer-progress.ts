import type { ChannelName, Position, TableName } from "../change/names.ts";
import type { PacketHeader } from "../change/packet.ts";
import type { ChannelProgress, PeerState } from "../node/target.ts";

/** What a target's state is once it has applied a packet, without asking it. */
export function afterPacket(state: PeerState, header: PacketHeader, digest: string): PeerState {
  const applied = header.kind === "fill" ? afterFill(state, header) : { ...state, channels: advanced(state.channels, header) };
  return { ...applied, epoch: header.epoch, number: header.number, digest, seen: { ...state.seen, ...header.seen } };
}

/** What it is once tables are read from `at` on. */
export function afterStart(state: PeerState, channel: ChannelName, tables: readonly TableName[], at: Position): PeerState {
  const channels = new Map(state.channels);
  channels.set(channel, started(channels.get(channel), tables, at));
  return { ...state, channels, tables: new Set([...state.tables, ...tables]) };
}

function advanced(before: PeerState["channels"], { channels: names, upTo }: PacketHeader): PeerState["channels"] {
  const channels = new Map(before);
  for (const name of names) {
    const ahead = new Map([...(channels.get(name)?.ahead ?? [])].filter(([, at]) => at > upTo));
    channels.set(name, { position: upTo, ahead });
  }
  return channels;
}

function afterFill(state: PeerState, header: PacketHeader): PeerState {
  const scopes = new Map(state.scopes);
  for (const [at, { table }] of header.tables.entries()) {
    const scope = header.scopes?.[at] ?? null;
    if (scope === null) scopes.delete(table);
    else scopes.set(table, scope);
  }
  const filled = header.channels.reduce((known, channel) => {
    const own = header.tables.filter((shape) => shape.channel === channel).map(({ table }) => table);
    return afterStart(known, channel, own, header.upTo);
  }, state);
  return { ...filled, scopes };
}

function started(known: ChannelProgress | undefined, tables: readonly TableName[], at: Position): ChannelProgress {
  if (known === undefined) return { position: at, ahead: new Map() };
  const ahead = new Map(known.ahead);
  for (const table of tables) if (at > known.position) ahead.set(table, at);
  return { position: known.position, ahead };
}
