package jwtsidecar_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	jwtsidecar "github.com/jwt-sidecar/jwt-sidecar/clients/go"
	"github.com/jwt-sidecar/jwt-sidecar/clients/go/internal/sidecartest"
)

const (
	patient = 20 * time.Second
	hasty   = 300 * time.Millisecond
)

var (
	table    = mustReadTable()
	scripted *sidecartest.Process
	silent   = slog.New(slog.DiscardHandler)
)

type tableCase struct {
	Name    string
	Request struct {
		Scopes     []string
		DPoP       string `json:"dpop"`
		HTTPMethod string `json:"http_method"`
		HTTPURI    string `json:"http_uri"`
	}
	Answers []map[string]json.RawMessage
	Client  struct {
		Outcome         string
		Token           tableToken
		Reason          jwtsidecar.Reason
		Message         string
		Code            codes.Code
		ErrorReason     string     `json:"error_reason"`
		HTTPStatus      int        `json:"http_status"`
		WWWAuthenticate string     `json:"www_authenticate"`
		GRPCStatus      codes.Code `json:"grpc_status"`
	}
}

type tableToken struct {
	IssuerName    string `json:"issuer_name"`
	Consumer      string
	Issuer        string
	Subject       string
	Audiences     []string
	TokenID       string `json:"token_id"`
	Scopes        []string
	IssueTime     time.Time `json:"issue_time"`
	NotBeforeTime time.Time `json:"not_before_time"`
	ExpireTime    time.Time `json:"expire_time"`
	KeyID         string    `json:"key_id"`
	Algorithm     string
	ClaimsJSON    string `json:"claims_json"`
}

type tableHeader struct {
	Name          string
	Authorization []string
	Reason        jwtsidecar.Reason
}

func mustReadTable() (read struct {
	Realm   string
	Cases   []tableCase
	Headers []tableHeader
}) {
	text, err := os.ReadFile(filepath.Join(sidecartest.Top(), "tests/vectors/clients.json"))
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		panic(err)
	}
	return read
}

func TestMain(m *testing.M) {
	// No connection to a sidecar may go through a proxy: where one did, every test would fail.
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		_ = os.Setenv(name, "http://127.0.0.1:1")
	}
	var err error
	if scripted, err = sidecartest.Scripted(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	result := m.Run()
	scripted.Kill()
	os.Exit(result)
}

func newClient(t testing.TB, address string, options ...jwtsidecar.Option) *jwtsidecar.Client {
	t.Helper()
	client, err := jwtsidecar.New(address, append([]jwtsidecar.Option{jwtsidecar.WithTimeout(patient), jwtsidecar.WithRealm(table.Realm)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// asked is a client with the deadline that suits the case.
func (c tableCase) asked(client *jwtsidecar.Client) *jwtsidecar.Client {
	if _, hangs := c.Answers[0]["hang"]; hangs {
		return client.Within(hasty)
	}
	return client
}

var presentations atomic.Int64

// presented is a token for which the scripted sidecar begins with the first answer.
func (c tableCase) presented() string {
	return fmt.Sprintf("%s~%d", c.Name, presentations.Add(1))
}

func (c tableCase) requirements() jwtsidecar.Requirements {
	return jwtsidecar.Requirements{
		Scopes: c.Request.Scopes,
		Proof: jwtsidecar.Proof{
			DPoP: c.Request.DPoP, HTTPMethod: c.Request.HTTPMethod, HTTPURI: c.Request.HTTPURI,
		},
	}
}

func TestCasesByValidate(t *testing.T) {
	client := newClient(t, scripted.Address)
	for _, one := range table.Cases {
		t.Run(one.Name, func(t *testing.T) {
			token, err := one.asked(client).Validate(t.Context(), one.presented(), one.requirements())
			if one.Client.Outcome != "token" && token != nil {
				t.Fatalf("a token: %v", token)
			}
			switch one.Client.Outcome {
			case "token":
				if err != nil {
					t.Fatal(err)
				}
				assertToken(t, one, token)
			case "refused":
				assertRefused(t, one, as[*jwtsidecar.RefusedError](t, err))
			case "unavailable":
				assertStatuses(t, one, as[*jwtsidecar.UnavailableError](t, err))
			case "rejected":
				rejected := as[*jwtsidecar.RejectedError](t, err)
				assertStatuses(t, one, rejected)
				equal(t, rejected.Code, one.Client.Code)
				equal(t, rejected.ErrorReason, one.Client.ErrorReason)
			default:
				t.Fatalf("an outcome that this test doesn't know: %s", one.Client.Outcome)
			}
		})
	}
}

func TestCasesByMiddleware(t *testing.T) {
	client := newClient(t, scripted.Address, jwtsidecar.WithLogger(silent))
	for _, one := range table.Cases {
		t.Run(one.Name, func(t *testing.T) {
			server := httptest.NewServer(protected(one.asked(client), one.requirements()))
			defer server.Close()
			answer := get(t, server.URL, "Bearer "+one.presented())
			if one.Client.Outcome == "token" {
				equal(t, answer.status, http.StatusOK)
				equal(t, answer.body, one.Client.Token.ClaimsJSON)
				return
			}
			equal(t, answer.status, one.Client.HTTPStatus)
			equal(t, answer.header.Get("WWW-Authenticate"), one.Client.WWWAuthenticate)
			equal(t, answer.header.Get("Retry-After") == "1", one.Client.HTTPStatus == 503)
			equal(t, answer.header.Get("Content-Type"), "application/json")
			assertJSON(t, answer.body, one.body())
		})
	}
}

func TestCasesByInterceptor(t *testing.T) {
	client := newClient(t, scripted.Address, jwtsidecar.WithLogger(silent))
	for _, one := range table.Cases {
		t.Run(one.Name, func(t *testing.T) {
			service := serve(t, one.asked(client), one.requirements())
			for _, invoke := range service.kinds() {
				ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+one.presented())
				answer := status.Convert(invoke(ctx))
				if one.Client.Outcome == "token" {
					equal(t, answer.Code(), codes.OK)
					assertToken(t, one, <-service.tokens)
					continue
				}
				equal(t, answer.Code(), one.Client.GRPCStatus)
				equal(t, answer.Message(), one.grpcMessage())
			}
		})
	}
}

func TestHeadersByMiddleware(t *testing.T) {
	client := newClient(t, scripted.Address, jwtsidecar.WithLogger(silent))
	handler := protected(client, jwtsidecar.Requirements{})
	server := httptest.NewServer(handler)
	defer server.Close()
	for _, one := range table.Headers {
		t.Run(one.Name, func(t *testing.T) {
			assertHeader(t, one, get(t, server.URL, one.Authorization...))
		})
		t.Run(one.Name+", unparsed", func(t *testing.T) {
			recorder := httptest.NewRecorder()
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.Header["Authorization"] = one.Authorization
			handler.ServeHTTP(recorder, request)
			assertHeader(t, one, answer{recorder.Code, recorder.Header(), recorder.Body.String()})
		})
	}
}

func TestHeadersByInterceptor(t *testing.T) {
	service := serve(t, newClient(t, scripted.Address, jwtsidecar.WithLogger(silent)), jwtsidecar.Requirements{})
	for _, one := range table.Headers {
		if slices.ContainsFunc(one.Authorization, func(value string) bool { return strings.Contains(value, "\t") }) {
			// gRPC sends no such metadata: see TestBearer.
			continue
		}
		t.Run(one.Name, func(t *testing.T) {
			for _, invoke := range service.kinds() {
				ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": one.Authorization})
				answer := status.Convert(invoke(ctx))
				if one.Reason == "" {
					equal(t, answer.Code(), codes.OK)
					equal(t, (<-service.tokens).Subject, "alice")
					continue
				}
				equal(t, answer.Code(), codes.Unauthenticated)
				reason, _, _ := strings.Cut(answer.Message(), ": ")
				equal(t, jwtsidecar.Reason(reason), one.Reason)
			}
		})
	}
}

func assertHeader(t *testing.T, one tableHeader, answer answer) {
	t.Helper()
	if one.Reason == "" {
		equal(t, answer.status, http.StatusOK)
		return
	}
	equal(t, answer.status, http.StatusUnauthorized)
	var told struct{ Error, Reason, Message string }
	if err := json.Unmarshal([]byte(answer.body), &told); err != nil {
		t.Fatal(err)
	}
	equal(t, told.Reason, "REASON_"+string(one.Reason))
	challenge := `Bearer realm="shop"`
	if one.Reason != "TOKEN_MISSING" {
		challenge += fmt.Sprintf(`, error="invalid_token", error_description="%s"`, told.Message)
	}
	equal(t, answer.header.Get("WWW-Authenticate"), challenge)
}

func (c tableCase) body() map[string]string {
	switch c.Client.Outcome {
	case "refused":
		reason := string(c.Client.Reason)
		return map[string]string{"error": strings.ToLower(reason), "reason": "REASON_" + reason, "message": c.Client.Message}
	case "unavailable":
		return map[string]string{"error": "sidecar_unavailable", "message": "the token can't be checked now"}
	default:
		return map[string]string{"error": "internal_error", "message": "the token can't be checked"}
	}
}

func (c tableCase) grpcMessage() string {
	if c.Client.Outcome == "refused" {
		return string(c.Client.Reason) + ": " + c.Client.Message
	}
	return c.body()["message"]
}

func assertToken(t *testing.T, one tableCase, token *jwtsidecar.Token) {
	t.Helper()
	wanted := jwtsidecar.Token(one.Client.Token)
	// Go has two kinds of no elements.
	wanted.Audiences, wanted.Scopes = slices.Concat(wanted.Audiences), slices.Concat(wanted.Scopes)
	if !reflect.DeepEqual(*token, wanted) {
		t.Errorf("%+v\nis not\n%+v", *token, wanted)
	}
}

func assertRefused(t *testing.T, one tableCase, refused *jwtsidecar.RefusedError) {
	t.Helper()
	assertStatuses(t, one, refused)
	equal(t, refused.Reason, one.Client.Reason)
	equal(t, refused.Message, one.Client.Message)
	equal(t, refused.WWWAuthenticate(table.Realm), one.Client.WWWAuthenticate)
}

func assertStatuses(t *testing.T, one tableCase, err interface {
	HTTPStatus() int
	GRPCStatus() *status.Status
}) {
	t.Helper()
	equal(t, err.HTTPStatus(), one.Client.HTTPStatus)
	equal(t, err.GRPCStatus().Code(), one.Client.GRPCStatus)
	equal(t, err.GRPCStatus().Message(), one.grpcMessage())
}

func assertJSON(t *testing.T, text string, wanted map[string]string) {
	t.Helper()
	var found map[string]string
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !maps.Equal(found, wanted) {
		t.Errorf("%v is not %v", found, wanted)
	}
}

func as[E error](t *testing.T, err error) E {
	t.Helper()
	var found E
	if !errors.As(err, &found) {
		t.Fatalf("%T: %v", err, err)
	}
	return found
}

func equal[V comparable](t *testing.T, found, wanted V) {
	t.Helper()
	if found != wanted {
		t.Errorf("%v is not %v", found, wanted)
	}
}

// protected is a handler that answers with the token's claims. A proof belongs to one request, so the
// handler that takes one asks for itself.
func protected(client *jwtsidecar.Client, requirements jwtsidecar.Requirements) http.Handler {
	if requirements.Proof.DPoP != "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			presented := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			_, err := client.Validate(r.Context(), presented, requirements)
			client.Deny(w, r, err)
		})
	}
	return client.Middleware(requirements)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := jwtsidecar.TokenFromContext(r.Context())
		_, _ = io.WriteString(w, token.ClaimsJSON)
	}))
}

type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, url string, authorization ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header["Authorization"] = authorization
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// service is a gRPC service behind the interceptors, with a unary and a streaming method.
type service struct {
	grpc_health_v1.UnimplementedHealthServer
	// What the handlers were given.
	tokens chan *jwtsidecar.Token
	client grpc_health_v1.HealthClient
	// Where it is set, the handlers ask for themselves and return the error as it is.
	validate func(context.Context) error
}

func serve(t *testing.T, client *jwtsidecar.Client, requirements jwtsidecar.Requirements, open ...string) *service {
	t.Helper()
	own := &service{tokens: make(chan *jwtsidecar.Token, 1)}
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(client.UnaryServerInterceptor(requirements, open...)),
		grpc.ChainStreamInterceptor(client.StreamServerInterceptor(requirements, open...)),
	}
	if requirements.Proof.DPoP != "" {
		options = nil
		own.validate = func(ctx context.Context) error {
			presented := metadata.ValueFromIncomingContext(ctx, "authorization")[0]
			_, err := client.Validate(ctx, strings.TrimPrefix(presented, "Bearer "), requirements)
			return err
		}
	}
	server := grpc.NewServer(options...)
	grpc_health_v1.RegisterHealthServer(server, own)
	listener := bufconn.Listen(1 << 16)
	go func() { _ = server.Serve(listener) }()
	connection, err := grpc.NewClient("passthrough:///service",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = connection.Close()
		server.Stop()
	})
	own.client = grpc_health_v1.NewHealthClient(connection)
	return own
}

func (s *service) kinds() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{"unary": s.unary, "stream": s.stream}
}

func (s *service) unary(ctx context.Context) error {
	_, err := s.client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}

func (s *service) stream(ctx context.Context) error {
	stream, err := s.client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	return err
}

func (s *service) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{}, s.handle(ctx)
}

func (s *service) Watch(_ *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	if err := s.handle(stream.Context()); err != nil {
		return err
	}
	return stream.Send(&grpc_health_v1.HealthCheckResponse{})
}

func (s *service) handle(ctx context.Context) error {
	if s.validate != nil {
		return s.validate(ctx)
	}
	token, _ := jwtsidecar.TokenFromContext(ctx)
	select {
	case s.tokens <- token:
		return nil
	default:
		return status.Error(codes.Aborted, "the token of the last call was not looked at")
	}
}
