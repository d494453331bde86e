"""Users, roles, tokens, sessions, the lease and the audit. Knows no HTTP."""
