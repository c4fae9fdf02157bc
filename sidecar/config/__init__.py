"""Configuration: YAML into frozen settings, every problem with its line, and one Snapshot.

`load.load` reads a file, `snapshot.build` makes of it what decisions read. Nothing here
imports another package of the sidecar but `token`.
"""
