"""Where issuers' keys come from when they are not in the configuration: JWK Sets over HTTP."""
