SELECT query_to_xml('SELECT pg_read_file(''/etc/hostname'')', true, true, '');
