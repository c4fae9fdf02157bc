"""What a token is and whether it may pass.

Pure: values in, values out. Nothing here reads a file, a socket or a clock, and nothing
here imports gRPC, asyncio or the other packages of the sidecar.
"""
