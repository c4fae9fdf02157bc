"""A gRPC sidecar that validates and issues JSON Web Tokens (RFC 7519)."""

__version__ = "0.1.0"
