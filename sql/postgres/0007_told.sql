-- What a peer out of reach last said of itself: a file for it goes on from there, whether it was said over HTTP or on a file.
create table tombolo.told (
  peer_id integer primary key references tombolo.peer on delete cascade,
  report json not null
);
revoke all on tombolo.told from public;
