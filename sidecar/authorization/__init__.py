"""May this HTTP request pass: where its token is, and what the upstream or the client is told.

Pure, and the same for Envoy's ext_authz and every other proxy: `api` translates their messages
into a `HttpRequest` and an `Answer` back.
"""
