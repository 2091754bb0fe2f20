CREATE SUBSCRIPTION s CONNECTION 'host=elsewhere password=secret' PUBLICATION p;
