"""The edges: gRPC, ext_authz and HTTP. Each translates and decides nothing."""
