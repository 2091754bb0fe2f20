SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET NAMES 'UTF8';
SET LOCAL work_mem = '64MB';
