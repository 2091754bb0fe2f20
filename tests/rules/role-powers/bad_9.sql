CREATE ROLE guest;
ALTER ROLE guest VALID UNTIL 'infinity';
