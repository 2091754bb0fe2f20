-- another schema: CONCURRENTLY leaves the bound behind as a CHECK of the former partition
ALTER TABLE events DETACH PARTITION events_2024;
