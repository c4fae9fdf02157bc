package jwtsidecar_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	jwtsidecar "github.com/jwt-sidecar/jwt-sidecar/clients/go"
	"github.com/jwt-sidecar/jwt-sidecar/clients/go/internal/sidecartest"
	"github.com/jwt-sidecar/jwt-sidecar/clients/go/sidecarv1"
)

// Whatever is at the sidecar's address, nothing passes, and the deadline holds.
func TestNoSidecar(t *testing.T) {
	for name, address := range map[string]func(*testing.T) string{
		"nothing listens":        func(t *testing.T) string { return closedPort(t) },
		"no socket":              func(t *testing.T) string { return "unix:" + filepath.Join(shortDirectory(t), "none.sock") },
		"no host":                func(*testing.T) string { return "host.invalid:9191" },
		"silence":                peer(func(connection net.Conn) { _, _ = io.Copy(io.Discard, connection) }),
		"a closed door":          peer(func(net.Conn) {}),
		"random bytes":           peer(says("\x8f\x01\xfe\x00\x17\xe3\x99\x02\xaa\xbb\xcc\xdd\xee\x10\x20\x30")),
		"HTTP/1.1":               peer(says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
		"half a frame of HTTP/2": peer(says("\x00\x00\x06\x04\x00")),
		"OK by HTTP/2":           http2Peer(http.StatusOK),
		"a refusal by HTTP/2":    http2Peer(http.StatusUnauthorized),
		"forbidden by HTTP/2":    http2Peer(http.StatusForbidden),
		"not found by HTTP/2":    http2Peer(http.StatusNotFound),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, address(t), jwtsidecar.WithTimeout(hasty), jwtsidecar.WithLogger(silent))
			server := httptest.NewServer(protected(client, jwtsidecar.Requirements{}))
			defer server.Close()
			service := serve(t, client, jwtsidecar.Requirements{})
			withToken := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer valid")
			// Not only the first call, for which there is no connection yet.
			for range 2 {
				inTime(t, func() {
					token, err := client.Validate(t.Context(), "valid", jwtsidecar.Requirements{})
					as[*jwtsidecar.UnavailableError](t, err)
					equal(t, token, nil)
				})
				inTime(t, func() { equal(t, get(t, server.URL, "Bearer valid").status, http.StatusServiceUnavailable) })
				for _, invoke := range service.kinds() {
					inTime(t, func() { equal(t, status.Code(invoke(withToken)), codes.Unavailable) })
				}
			}
		})
	}
}

func TestSidecarEndsDuringACall(t *testing.T) {
	arrived := make(chan struct{}, 1)
	sidecar := fake{fail: func(ctx context.Context) error {
		arrived <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	address, server := sidecar.serve(t)
	client := newClient(t, address)
	ended := make(chan error)
	go func() {
		_, err := client.Validate(context.Background(), "token", jwtsidecar.Requirements{})
		ended <- err
	}()
	<-arrived
	server.Stop()
	as[*jwtsidecar.UnavailableError](t, <-ended)
}

func TestSidecarRestarts(t *testing.T) {
	address := "unix:" + filepath.Join(shortDirectory(t), "s.sock")
	client := newClient(t, address)
	for range 2 {
		process, err := sidecartest.Scripted(address)
		if err != nil {
			t.Fatal(err)
		}
		// The client may wait for up to a second and a fifth before it connects again.
		for deadline := time.Now().Add(patient); ; {
			_, err = client.Validate(t.Context(), "valid", jwtsidecar.Requirements{})
			if err == nil || time.Now().After(deadline) {
				break
			}
			as[*jwtsidecar.UnavailableError](t, err)
		}
		process.Kill()
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Validate(t.Context(), "valid", jwtsidecar.Requirements{})
		as[*jwtsidecar.UnavailableError](t, err)
	}
}

// gRPC's own wait would be 20 s for as many attempts, and two minutes later on.
func TestALongOutageIsNoticedToBeOver(t *testing.T) {
	t.Parallel()
	attempts := make(chan struct{})
	client := newClient(t, peer(func(net.Conn) { attempts <- struct{}{} })(t))
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			_, _ = client.Validate(ctx, "token", jwtsidecar.Requirements{})
		}
	}()
	for attempt := range 7 {
		select {
		case <-attempts:
		case <-ctx.Done():
			t.Fatalf("%d attempts to connect", attempt)
		}
	}
}

func TestTheContextEndsACall(t *testing.T) {
	client := newClient(t, scripted.Address)
	short, cancel := context.WithTimeout(t.Context(), hasty)
	defer cancel()
	inTime(t, func() {
		_, err := client.Validate(short, "hangs", jwtsidecar.Requirements{})
		as[*jwtsidecar.UnavailableError](t, err)
		equal(t, errors.Is(err, context.DeadlineExceeded), true)
	})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Validate(cancelled, "valid", jwtsidecar.Requirements{})
	as[*jwtsidecar.UnavailableError](t, err)
	equal(t, errors.Is(err, context.Canceled), true)
}

func TestTheDefaultDeadlineIsOneSecond(t *testing.T) {
	client, err := jwtsidecar.New(scripted.Address)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	_, err = client.Validate(t.Context(), "hangs", jwtsidecar.Requirements{})
	as[*jwtsidecar.UnavailableError](t, err)
	if took := time.Since(started); took < time.Second || took > 6*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = client.Validate(t.Context(), "valid", jwtsidecar.Requirements{})
	as[*jwtsidecar.UnavailableError](t, err)
}

func TestAnswersThatMakeNoSense(t *testing.T) {
	for name, one := range map[string]struct {
		answer any
		ask    func(*jwtsidecar.Client) error
	}{
		"explanation without a result": {&sidecarv1.ExplainTokenResponse{}, func(client *jwtsidecar.Client) error {
			_, err := client.Explain(t.Context(), "token", jwtsidecar.Requirements{})
			return err
		}},
		"issued nothing": {&sidecarv1.IssueTokenResponse{TokenId: "1"}, func(client *jwtsidecar.Client) error {
			_, err := client.Issue(t.Context(), nil)
			return err
		}},
		"refreshed without a token": {&sidecarv1.RefreshTokenResponse{Valid: true}, refreshes},
		"refreshed and refused": {&sidecarv1.RefreshTokenResponse{
			Valid: true, Reason: sidecarv1.Reason_REASON_REPLAYED, Issued: &sidecarv1.IssueTokenResponse{Token: "token"},
		}, refreshes},
		"neither refreshed nor refused": {&sidecarv1.RefreshTokenResponse{
			Issued: &sidecarv1.IssueTokenResponse{Token: "token"},
		}, refreshes},
		"revoked at no time": {&sidecarv1.RevokeTokenResponse{}, func(client *jwtsidecar.Client) error {
			_, err := client.Revoke(t.Context(), nil)
			return err
		}},
		"keys that are no object": {&sidecarv1.GetJwksResponse{JwksJson: "[]"}, func(client *jwtsidecar.Client) error {
			_, err := client.JWKS(t.Context())
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := fake{answer: one.answer}.serve(t)
			as[*jwtsidecar.UnavailableError](t, one.ask(newClient(t, address)))
		})
	}
}

func refreshes(client *jwtsidecar.Client) error {
	_, err := client.Refresh(context.Background(), "token")
	return err
}

// Except RefreshToken, whose refresh token works once, all calls are tried three times.
func TestRetries(t *testing.T) {
	sidecar := fake{
		fail:  func(context.Context) error { return status.Error(codes.Unavailable, "why") },
		calls: make(chan string, 10),
	}
	address, _ := sidecar.serve(t)
	client := newClient(t, address)
	for method, invoke := range map[string]func() error{
		"ValidateToken": func() error {
			_, err := client.Validate(t.Context(), "token", jwtsidecar.Requirements{})
			return err
		},
		"ExplainToken": func() error {
			_, err := client.Explain(t.Context(), "token", jwtsidecar.Requirements{})
			return err
		},
		"IssueToken": func() error {
			_, err := client.Issue(t.Context(), &sidecarv1.IssueTokenRequest{})
			return err
		},
		"RefreshToken": func() error {
			_, err := client.Refresh(t.Context(), "token")
			return err
		},
		"RevokeToken": func() error {
			_, err := client.Revoke(t.Context(), &sidecarv1.RevokeTokenRequest{})
			return err
		},
		"GetJwks": func() error {
			_, err := client.JWKS(t.Context())
			return err
		},
	} {
		t.Run(method, func(t *testing.T) {
			as[*jwtsidecar.UnavailableError](t, invoke())
			times := 3
			if method == "RefreshToken" {
				times = 1
			}
			equal(t, len(sidecar.calls), times)
			for range times {
				equal(t, <-sidecar.calls, "/sidecar.v1.TokenService/"+method)
			}
		})
	}
}

func inTime(t *testing.T, do func()) {
	t.Helper()
	started := time.Now()
	do()
	// What a busy machine may add.
	const slack = 5 * time.Second
	if took := time.Since(started); took > hasty+slack {
		t.Errorf("it took %s", took)
	}
}

func shortDirectory(t *testing.T) string {
	t.Helper()
	// t.TempDir may be longer than a socket's path may be.
	directory, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return directory
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func closedPort(t *testing.T) string {
	listener := listen(t)
	_ = listener.Close()
	return listener.Addr().String()
}

func peer(serve func(net.Conn)) func(*testing.T) string {
	return func(t *testing.T) string {
		listener := listen(t)
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				go func() {
					serve(connection)
					_ = connection.Close()
				}()
			}
		}()
		return listener.Addr().String()
	}
}

func says(text string) func(net.Conn) {
	return func(connection net.Conn) {
		_, _ = io.WriteString(connection, text)
		_, _ = io.Copy(io.Discard, connection)
	}
}

func http2Peer(code int) func(*testing.T) string {
	return func(t *testing.T) string {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "ok")
		}))
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
}

// fake is a sidecar that answers every call with the answer, or the error of the function.
type fake struct {
	sidecarv1.UnimplementedTokenServiceServer
	answer any
	fail   func(context.Context) error
	// The methods called, where it is set.
	calls chan string
}

func (f fake) serve(t *testing.T) (string, *grpc.Server) {
	t.Helper()
	listener := listen(t)
	return listener.Addr().String(), f.serveOn(t, listener)
}

func (f fake) serveOn(t *testing.T, listener net.Listener, options ...grpc.ServerOption) *grpc.Server {
	t.Helper()
	server := grpc.NewServer(append(options, grpc.UnaryInterceptor(
		func(ctx context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			if f.calls != nil {
				f.calls <- info.FullMethod
			}
			if f.fail != nil {
				return nil, f.fail(ctx)
			}
			return f.answer, nil
		}))...)
	sidecarv1.RegisterTokenServiceServer(server, f)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return server
}
