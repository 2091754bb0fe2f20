-- fails: 42501
CREATE ROLE app NOLOGIN;
REVOKE admin FROM app;
