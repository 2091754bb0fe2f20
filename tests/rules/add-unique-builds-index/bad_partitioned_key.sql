ALTER TABLE events ADD PRIMARY KEY (id, happened, kind);
