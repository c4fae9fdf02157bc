"""What the subcommands of `jwt-sidecar` do, a module a theme."""
