package jwtsidecar

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// UnaryServerInterceptor lets a call through to the handler only with a token that meets the
// requirements, in the metadata `authorization: Bearer TOKEN`. [TokenFromContext] gives the handler what
// the token says. Any other call ends with the status of the error. A method in open, such as
// "/grpc.health.v1.Health/Check", needs no token.
//
// A service with streaming methods needs [Client.StreamServerInterceptor] too.
func (c *Client) UnaryServerInterceptor(requirements Requirements, open ...string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, err := c.enter(ctx, info.FullMethod, requirements, open)
		if err != nil {
			return nil, err
		}
		return handler(ctx, request)
	}
}

// StreamServerInterceptor is [Client.UnaryServerInterceptor] for streaming methods. The token is
// checked once, before the stream begins.
func (c *Client) StreamServerInterceptor(requirements Requirements, open ...string) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, err := c.enter(stream.Context(), info.FullMethod, requirements, open)
		if err != nil {
			return err
		}
		return handler(server, admittedStream{stream, ctx})
	}
}

// enter gives the context for the handler, or an error with the status to answer.
func (c *Client) enter(ctx context.Context, method string, requirements Requirements, open []string) (context.Context, error) {
	if slices.Contains(open, method) {
		return ctx, nil
	}
	admitted, err := c.admit(ctx, metadata.ValueFromIncomingContext(ctx, "authorization"), requirements)
	if err != nil {
		return nil, c.denial(ctx, err).GRPCStatus().Err()
	}
	return admitted, nil
}

type admittedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s admittedStream) Context() context.Context { return s.ctx }
