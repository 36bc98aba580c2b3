/**
 * Distinct types for what must not be mixed. Each is the plain value at run time; the brand exists for the compiler only.
 */
declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** The name of a node in the topology, e.g. `store-1`. */
export type NodeName = Branded<string, "NodeName">;
/** The name of a channel in the topology, e.g. `sales`. */
export type ChannelName = Branded<string, "ChannelName">;
/** The name of a table as the topology writes it, e.g. `shop.orders`; the same on every node. */
export type TableName = Branded<string, "TableName">;
/** The identity of one continuous life of a node (a UUID); a restored or cloned node gets a new one. */
export type Epoch = Branded<string, "Epoch">;
/**
 * A place in one node's change log, all that a reader must remember. Grows; meaningful only to the node that made it.
 * Postgres: the number of a tick. SQLite: the highest sequence number sealed by a tick. 0 is "before everything".
 */
export type Position = Branded<bigint, "Position">;
/** The number of a packet in one direction between two neighbours; the first is 1, none is skipped. */
export type PacketNumber = Branded<bigint, "PacketNumber">;

/** The number of a choice of rows that a parent has made for a child (see node/scopes.ts); meaningful only to the parent. */
export type ScopeNumber = Branded<bigint, "ScopeNumber">;

export const nodeName = (text: string): NodeName => text as NodeName;
export const channelName = (text: string): ChannelName => text as ChannelName;
export const tableName = (text: string): TableName => text as TableName;
export const epoch = (text: string): Epoch => text as Epoch;
export const position = (value: bigint | string | number): Position => BigInt(value) as Position;
export const packetNumber = (value: bigint | string | number): PacketNumber => BigInt(value) as PacketNumber;
export const scopeNumber = (value: bigint | string | number): ScopeNumber => BigInt(value) as ScopeNumber;

/** The position before everything: a reader that has read nothing yet. */
export const START: Position = 0n as Position;

export const earlier = (a: Position, b: Position): Position => (a < b ? a : b);
