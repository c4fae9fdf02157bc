package jwtsidecar_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	jwtsidecar "github.com/jwt-sidecar/jwt-sidecar/clients/go"
	"github.com/jwt-sidecar/jwt-sidecar/clients/go/sidecarv1"
)

// Presented stands for a token that must be in no text.
const presented = "eyJhbGciOiJub25lIn0.e30.c2VjcmV0"

func TestNewRefusesWhatCannotBe(t *testing.T) {
	for name, make := range map[string]func() (*jwtsidecar.Client, error){
		"address":          func() (*jwtsidecar.Client, error) { return jwtsidecar.New("nowhere") },
		"no timeout":       func() (*jwtsidecar.Client, error) { return jwtsidecar.New("", jwtsidecar.WithTimeout(0)) },
		"negative timeout": func() (*jwtsidecar.Client, error) { return jwtsidecar.New("", jwtsidecar.WithTimeout(-1)) },
	} {
		if client, err := make(); err == nil || client != nil {
			t.Errorf("%s: %v", name, client)
		}
	}
}

func TestTheEnvironmentHasTheAddress(t *testing.T) {
	t.Setenv("JWT_SIDECAR_ADDRESS", scripted.Address)
	if _, err := newClient(t, "").Validate(t.Context(), "valid", jwtsidecar.Requirements{}); err != nil {
		t.Error(err)
	}
	t.Setenv("JWT_SIDECAR_ADDRESS", "")
	_, err := newClient(t, "").Validate(t.Context(), "valid", jwtsidecar.Requirements{})
	if !strings.Contains(as[*jwtsidecar.UnavailableError](t, err).Cause, "/run/jwt-sidecar/sidecar.sock") {
		t.Error(err)
	}
}

func TestASocketMayHaveAnyName(t *testing.T) {
	path := filepath.Join(shortDirectory(t), "a b%zz?c#d.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	expired.serveOn(t, listener)
	_, err = newClient(t, "unix:"+path).Validate(t.Context(), presented, jwtsidecar.Requirements{})
	equal(t, as[*jwtsidecar.RefusedError](t, err).Reason, "EXPIRED")
}

func TestTLS(t *testing.T) {
	certificate, authority := selfSigned(t, "sidecar.example", "localhost")
	listener := listen(t)
	expired.serveOn(t, listener, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	path := filepath.Join(shortDirectory(t), "s.sock")
	socket, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	expired.serveOn(t, socket, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	trusted := &tls.Config{RootCAs: authority}
	for name, one := range map[string]struct {
		address string
		config  *tls.Config
		reached bool
	}{
		"by name":          {"localhost:" + port, trusted, true},
		"by another name":  {"127.0.0.1:" + port, trusted, false},
		"by a given name":  {"127.0.0.1:" + port, &tls.Config{RootCAs: authority, ServerName: "sidecar.example"}, true},
		"by socket":        {"unix:" + path, trusted, true},
		"of an unknown CA": {"localhost:" + port, &tls.Config{}, false},
		"in plain text":    {"localhost:" + port, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			options := []jwtsidecar.Option{}
			if one.config != nil {
				options = append(options, jwtsidecar.WithTLS(one.config))
			}
			_, err := newClient(t, one.address, options...).Validate(t.Context(), presented, jwtsidecar.Requirements{})
			if one.reached {
				as[*jwtsidecar.RefusedError](t, err)
			} else {
				as[*jwtsidecar.UnavailableError](t, err)
			}
		})
	}
}

// The caller token is asked for at each call, and replaces what the context holds for other services.
func TestCallerToken(t *testing.T) {
	came := make(chan []string, 1)
	address, _ := fake{fail: func(ctx context.Context) error {
		came <- metadata.ValueFromIncomingContext(ctx, "authorization")
		return status.Error(codes.PermissionDenied, "caller token: first is no token")
	}}.serve(t)
	tokens := []string{"first", "second"}
	client := newClient(t, address, jwtsidecar.WithCallerToken(func(context.Context) (string, error) {
		if len(tokens) == 0 {
			return "", errors.New("no more")
		}
		token := tokens[0]
		tokens = tokens[1:]
		return token, nil
	}))
	other := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer of-another-service")
	for _, wanted := range []string{"Bearer first", "Bearer second"} {
		_, err := client.Validate(other, presented, jwtsidecar.Requirements{})
		rejected := as[*jwtsidecar.RejectedError](t, err)
		values := <-came
		equal(t, len(values), 1)
		equal(t, values[0], wanted)
		equal(t, strings.Contains(rejected.Message, "first"), wanted == "Bearer second")
	}
	_, err := client.Validate(other, presented, jwtsidecar.Requirements{})
	as[*jwtsidecar.UnavailableError](t, err)
}

func TestMethodsThatNeedNoToken(t *testing.T) {
	client := newClient(t, scripted.Address)
	service := serve(t, client, jwtsidecar.Requirements{}, grpc_health_v1.Health_Check_FullMethodName)
	if err := service.unary(t.Context()); err != nil {
		t.Error(err)
	}
	if token := <-service.tokens; token != nil {
		t.Error("a token that nobody presented")
	}
	equal(t, status.Code(service.stream(t.Context())), codes.Unauthenticated)
}

func TestAHandlerChangesOnlyItsOwnToken(t *testing.T) {
	given := &jwtsidecar.Token{Subject: "alice", Scopes: []string{"orders:read"}}
	ctx := jwtsidecar.ContextWithToken(t.Context(), given)
	given.Scopes[0] = "orders:write"
	first, _ := jwtsidecar.TokenFromContext(ctx)
	first.Scopes[0], first.Subject = "orders:write", "bob"
	second, _ := jwtsidecar.TokenFromContext(ctx)
	equal(t, second.Scopes[0], "orders:read")
	equal(t, second.Subject, "alice")
	if token, found := jwtsidecar.TokenFromContext(t.Context()); found || token != nil {
		t.Error("a token in an empty context")
	}
}

func TestDenyOfAForeignErrorIsClosed(t *testing.T) {
	client := newClient(t, scripted.Address, jwtsidecar.WithLogger(silent))
	for _, err := range []error{io.ErrUnexpectedEOF, nil} {
		recorder := httptest.NewRecorder()
		client.Deny(recorder, httptest.NewRequest(http.MethodGet, "/", nil), err)
		equal(t, recorder.Code, http.StatusInternalServerError)
	}
	recorder := httptest.NewRecorder()
	wrapped := fmt.Errorf("orders: %w", &jwtsidecar.RefusedError{Reason: "EXPIRED", Message: "why"})
	client.Deny(recorder, httptest.NewRequest(http.MethodGet, "/", nil), wrapped)
	equal(t, recorder.Code, http.StatusUnauthorized)
}

// What answers at the sidecar's address may repeat what it was sent. What is not told to clients is
// logged, without the token.
func TestNoTokenIsInAnyText(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.InvalidArgument} {
		address, _ := fake{fail: func(context.Context) error {
			return status.Error(code, "the token "+presented+" of the inside")
		}}.serve(t)
		var text bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&text, nil))
		client := newClient(t, address, jwtsidecar.WithLogger(logger))
		note := func(err error) {
			fmt.Fprintf(&text, "%v %+v %#v %v", err, err, err, errors.Unwrap(err))
		}
		_, err := client.Validate(t.Context(), presented, jwtsidecar.Requirements{})
		note(err)
		_, err = client.Validate(t.Context(), "token", jwtsidecar.Requirements{Proof: jwtsidecar.Proof{DPoP: presented}})
		note(err)
		_, err = client.Explain(t.Context(), presented, jwtsidecar.Requirements{})
		note(err)
		_, err = client.Refresh(t.Context(), presented)
		note(err)
		_, err = client.Revoke(t.Context(), &sidecarv1.RevokeTokenRequest{Target: &sidecarv1.RevokeTokenRequest_Token{Token: presented}})
		note(err)
		_, err = client.Revoke(t.Context(), &sidecarv1.RevokeTokenRequest{Target: &sidecarv1.RevokeTokenRequest_RefreshToken{RefreshToken: presented}})
		note(err)

		server := httptest.NewServer(protected(client, jwtsidecar.Requirements{}))
		answer := get(t, server.URL, "Bearer "+presented)
		server.Close()
		service := serve(t, client, jwtsidecar.Requirements{})
		err = service.unary(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+presented))
		if strings.Contains(answer.body, "inside") || strings.Contains(err.Error(), "inside") {
			t.Errorf("the client is told of the inside: %s, %v", answer.body, err)
		}
		equal(t, strings.Count(text.String(), `"msg":"a token could not be checked"`), 2)
		equal(t, strings.Contains(text.String(), "[token] of the inside"), true)
		equal(t, strings.Contains(text.String(), presented), false)
	}
}

func TestIssuedHasNoTokenInItsText(t *testing.T) {
	issued := jwtsidecar.Issued{Token: presented, RefreshToken: presented, TokenID: "t-1"}
	var text bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&text, verb, issued)
		fmt.Fprintf(&text, verb, &issued)
		fmt.Fprintf(&text, verb, struct{ Issued jwtsidecar.Issued }{issued})
	}
	asJSON, err := json.Marshal(struct{ Issued *jwtsidecar.Issued }{&issued})
	if err != nil {
		t.Fatal(err)
	}
	text.Write(asJSON)
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&text, nil), slog.NewTextHandler(&text, nil)} {
		slog.New(handler).Info("issued", "issued", issued, "pointer", &issued)
	}
	equal(t, strings.Contains(text.String(), "t-1"), true)
	equal(t, strings.Contains(text.String(), "c2VjcmV0"), false)
	equal(t, strings.Contains(text.String(), fmt.Sprintf("%x", "c2VjcmV0")), false)
}

// expired is a sidecar that refuses every token.
var expired = fake{answer: &sidecarv1.ValidateTokenResponse{Reason: sidecarv1.Reason_REASON_EXPIRED}}

func selfSigned(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	authority := x509.NewCertPool()
	authority.AddCert(certificate)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority
}
