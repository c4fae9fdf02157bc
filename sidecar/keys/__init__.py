"""Keys that the configuration does not hold: JWK Sets over HTTP, and those made for signers."""
