/** The SQLSTATEs that Tombolo decides by (Postgres documentation, appendix A). Classes are the first two characters. */
export const CLASS_CONNECTION = "08";
export const CLASS_DATA = "22";
export const CLASS_INTEGRITY = "23";
export const CLASS_AUTHORIZATION = "28";
export const CLASS_RESOURCES = "53";
export const CLASS_PLPGSQL = "P0";

export const INVALID_CATALOG_NAME = "3D000";
export const UNIQUE_VIOLATION = "23505";
export const SERIALIZATION_FAILURE = "40001";
export const DEADLOCK_DETECTED = "40P01";
export const INSUFFICIENT_PRIVILEGE = "42501";
export const UNDEFINED_TABLE = "42P01";
export const INVALID_SCHEMA_NAME = "3F000";
export const TOO_MANY_CONNECTIONS = "53300";
export const OBJECT_IN_USE = "55006";
export const LOCK_NOT_AVAILABLE = "55P03";
export const QUERY_CANCELED = "57014";
export const ADMIN_SHUTDOWN = "57P01";
export const CRASH_SHUTDOWN = "57P02";
export const CANNOT_CONNECT_NOW = "57P03";
export const IDLE_SESSION_TIMEOUT = "57P05";
export const IDLE_IN_TRANSACTION_TIMEOUT = "25P03";
export const READ_ONLY_TRANSACTION = "25006";
export const FEATURE_NOT_SUPPORTED = "0A000";
