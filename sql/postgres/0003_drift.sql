-- What verify compares with, besides the shape and the triggers.

-- {filenode, columnMarks, partitions}: a rewrite by ALTER changes the first two together (VACUUM FULL only the first); partitions
-- that come or go bring or take rows that no trigger sees
alter table tombolo.captured_table add column storage jsonb;
-- of the capture functions as they were installed
alter table tombolo.node add column capture_hash text;
