/** Each round moves all that was there when it began. What still moves after so many has been written since: beside writers, a `sync` ends all the same. */
export const MOST_SYNC_ROUNDS = 20;
