REVOKE SELECT ON messages FROM public;
