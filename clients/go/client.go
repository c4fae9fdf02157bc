// Package jwtsidecar asks the jwt-sidecar beside this process whether a JSON Web Token (RFC 7519)
// may pass, and keeps requests out whose token may not: [Client.Validate] for code,
// [Client.Middleware] for net/http, [Client.UnaryServerInterceptor] and
// [Client.StreamServerInterceptor] for gRPC.
//
// Every call ends with an answer or with exactly one of [RefusedError], [UnavailableError] and
// [RejectedError], each a pointer that errors.As finds. None lets a token pass, and none has a token
// in its text.
package jwtsidecar

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/jwt-sidecar/jwt-sidecar/clients/go/sidecarv1"
)

const (
	addressVariable = "JWT_SIDECAR_ADDRESS"
	defaultAddress  = "unix:/run/jwt-sidecar/sidecar.sock"
	defaultTimeout  = time.Second
	defaultRealm    = "jwt-sidecar"
)

// A refresh token works once, so RefreshToken is not among the methods that are tried again.
const serviceConfig = `{"methodConfig": [{
	"name": [
		{"service": "sidecar.v1.TokenService", "method": "ValidateToken"},
		{"service": "sidecar.v1.TokenService", "method": "ExplainToken"},
		{"service": "sidecar.v1.TokenService", "method": "IssueToken"},
		{"service": "sidecar.v1.TokenService", "method": "RevokeToken"},
		{"service": "sidecar.v1.TokenService", "method": "GetJwks"}
	],
	"retryPolicy": {
		"maxAttempts": 3,
		"initialBackoff": "0.05s",
		"maxBackoff": "0.5s",
		"backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

// gRPC's own wait between attempts to connect grows to two minutes, in which a sidecar that is back
// would not be seen.
var reconnection = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// Client holds one connection to the sidecar, for the life of the process. It connects at the first
// call, and again by itself. All methods may be called by any number of goroutines at once.
type Client struct {
	connection  *grpc.ClientConn
	tokens      sidecarv1.TokenServiceClient
	callerToken func(context.Context) (string, error)
	timeout     time.Duration
	realm       string
	logger      *slog.Logger
}

// An Option of [New].
type Option func(*settings)

type settings struct {
	client    Client
	transport credentials.TransportCredentials
}

// WithTimeout bounds each call, retries included; the default is one second. A context that ends
// earlier ends the call earlier.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.client.timeout = timeout }
}

// WithTLS is for a listener with `tls`: the CAs in RootCAs, and for a listener that wants to know its
// callers their certificate in Certificates.
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.transport = credentials.NewTLS(config) }
}

// WithCallerToken is for a listener with `caller_token`. The function is asked for the token at each
// call, since tokens expire; it must heed its context. An error of it ends the call with an
// [UnavailableError]. The token is readable for whoever is on the way: over a network, add
// [WithTLS].
func WithCallerToken(token func(context.Context) (string, error)) Option {
	return func(s *settings) { s.client.callerToken = token }
}

// WithRealm is the realm in the WWW-Authenticate of [Client.Middleware] (RFC 6750, section 3); the
// default is "jwt-sidecar".
func WithRealm(realm string) Option {
	return func(s *settings) { s.client.realm = realm }
}

// WithLogger is where middleware and interceptors log why a token could not be checked; the default
// is slog.Default().
func WithLogger(logger *slog.Logger) Option {
	return func(s *settings) { s.client.logger = logger }
}

// New gives a client of the sidecar at address: "unix:PATH" or "host:port". An empty address means
// that of the environment's JWT_SIDECAR_ADDRESS, else unix:/run/jwt-sidecar/sidecar.sock. The error is
// for an address or a timeout that can't be; whether a sidecar is there shows at the first call.
func New(address string, options ...Option) (*Client, error) {
	s := settings{
		client:    Client{timeout: defaultTimeout, realm: defaultRealm},
		transport: insecure.NewCredentials(),
	}
	for _, option := range options {
		option(&s)
	}
	if s.client.timeout <= 0 {
		return nil, fmt.Errorf("jwtsidecar: the timeout must be positive, not %s", s.client.timeout)
	}
	place, err := parseAddress(cmp.Or(address, os.Getenv(addressVariable), defaultAddress))
	if err != nil {
		return nil, err
	}
	connection, err := grpc.NewClient(place.target(),
		grpc.WithContextDialer(place.dial),
		grpc.WithTransportCredentials(s.transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithConnectParams(reconnection),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second}),
	)
	if err != nil {
		return nil, fmt.Errorf("jwtsidecar: %w", err)
	}
	client := s.client
	client.connection = connection
	client.tokens = sidecarv1.NewTokenServiceClient(connection)
	return &client, nil
}

// Close ends the connection. Calls that run, and later ones, end with an [UnavailableError].
func (c *Client) Close() error { return c.connection.Close() }

// Within gives a client with another timeout, on the same connection.
func (c *Client) Within(timeout time.Duration) *Client {
	other := *c
	other.timeout = timeout
	return &other
}

// Validate asks whether a token may pass, without a "Bearer " before it, and gives what a valid one
// says. Otherwise it ends with a [RefusedError], an [UnavailableError] or a [RejectedError].
func (c *Client) Validate(ctx context.Context, token string, requirements Requirements) (*Token, error) {
	request, err := requirements.request(token)
	if err != nil {
		return nil, err
	}
	answer, err := call(ctx, c, c.tokens.ValidateToken, request, token, requirements.Proof.DPoP)
	if err != nil {
		return nil, err
	}
	if err := verdict(answer, requirements); err != nil {
		return nil, err
	}
	if !isObject(answer.GetToken().GetClaimsJson()) {
		return nil, nonsense("valid without a token, or with claims that are no JSON object")
	}
	return tokenFrom(answer.GetToken()), nil
}

// Explain reports every check that Validate makes, in order, for finding out why a token is refused.
// It is no way to decide: its header and claims are not verified. Its errors are [UnavailableError]
// and [RejectedError]; a refused token is an ordinary answer here.
func (c *Client) Explain(ctx context.Context, token string, requirements Requirements) (*sidecarv1.ExplainTokenResponse, error) {
	request, err := requirements.request(token)
	if err != nil {
		return nil, err
	}
	explain := &sidecarv1.ExplainTokenRequest{Request: request}
	answer, err := call(ctx, c, c.tokens.ExplainToken, explain, token, requirements.Proof.DPoP)
	if err != nil {
		return nil, err
	}
	if answer.GetResult() == nil {
		return nil, nonsense("an explanation without a result")
	}
	return answer, nil
}

// Issue mints a token. Its errors are [UnavailableError] and [RejectedError].
func (c *Client) Issue(ctx context.Context, request *sidecarv1.IssueTokenRequest) (*Issued, error) {
	answer, err := call(ctx, c, c.tokens.IssueToken, request)
	if err != nil {
		return nil, err
	}
	return issuedFrom(answer)
}

// Refresh trades a refresh token for a new access token and a new refresh token, with the scopes
// named, or all those first granted. A refresh token works once, so this call is never tried again by
// itself. It ends with a [RefusedError] too, where the refresh token is unknown, used, expired or
// revoked.
func (c *Client) Refresh(ctx context.Context, refreshToken string, scopes ...string) (*Issued, error) {
	request := &sidecarv1.RefreshTokenRequest{RefreshToken: sendable(refreshToken), Scopes: scopes}
	answer, err := call(ctx, c, c.tokens.RefreshToken, request, refreshToken)
	if err != nil {
		return nil, err
	}
	if err := verdict(answer, Requirements{Scopes: scopes}); err != nil {
		return nil, err
	}
	return issuedFrom(answer.GetIssued())
}

// Revoke makes one token, or all of a subject or consumer issued so far, invalid, and tells since
// when. Its errors are [UnavailableError] and [RejectedError].
func (c *Client) Revoke(ctx context.Context, request *sidecarv1.RevokeTokenRequest) (time.Time, error) {
	answer, err := call(ctx, c, c.tokens.RevokeToken, request, request.GetToken(), request.GetRefreshToken())
	if err != nil {
		return time.Time{}, err
	}
	if answer.GetRevokeTime() == nil {
		return time.Time{}, nonsense("a revocation without its time")
	}
	return timeFrom(answer.GetRevokeTime()), nil
}

// JWKS gives the public keys of the configured signers, a JWK Set (RFC 7517) as JSON. Its errors are
// [UnavailableError] and [RejectedError].
func (c *Client) JWKS(ctx context.Context) (string, error) {
	answer, err := call(ctx, c, c.tokens.GetJwks, &sidecarv1.GetJwksRequest{})
	if err != nil {
		return "", err
	}
	if !isObject(answer.GetJwksJson()) {
		return "", nonsense("a JWK Set that is no JSON object")
	}
	return answer.GetJwksJson(), nil
}

// call makes one call, within the client's timeout; no error of it holds one of the secrets.
func call[Request, Answer any](
	ctx context.Context,
	c *Client,
	method func(context.Context, Request, ...grpc.CallOption) (Answer, error),
	request Request,
	secrets ...string,
) (answer Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if c.callerToken != nil {
		token, err := c.callerToken(ctx)
		if err != nil {
			return answer, &UnavailableError{Cause: "no caller token: " + err.Error(), ended: ctx.Err()}
		}
		ctx = withAuthorization(ctx, "Bearer "+token)
		secrets = append(secrets, token)
	}
	var header, trailer metadata.MD
	answer, err = method(ctx, request, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return answer, failure(ctx, err, speaksGRPC(header, trailer), secrets)
	}
	return answer, nil
}

// speaksGRPC tells a status that came from one that gRPC made up for an answer of plain HTTP/2: only where
// the content type is gRPC's is it there.
func speaksGRPC(header, trailer metadata.MD) bool {
	return len(header.Get("content-type")) > 0 || len(trailer.Get("content-type")) > 0
}

// withAuthorization replaces what the context may hold for calls of other services.
func withAuthorization(ctx context.Context, value string) context.Context {
	sent, _ := metadata.FromOutgoingContext(ctx)
	sent = metadata.Join(sent)
	sent.Set("authorization", value)
	return metadata.NewOutgoingContext(ctx, sent)
}
