"""The checks by what they look at; `sidecar.token.validator` has them in order."""
