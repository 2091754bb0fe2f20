CREATE EXTENSION http;
SELECT http_head('http://example.org');
