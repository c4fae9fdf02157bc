package jwtsidecar

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/jwt-sidecar/jwt-sidecar/clients/go/sidecarv1"
)

const longestDescription = 500

// Reason says why a token was refused: a name of the contract's Reason without its prefix, such as
// "EXPIRED", or the number of one of a newer sidecar, such as "79". Names and numbers are stable.
type Reason string

const (
	tokenMissing      Reason = "TOKEN_MISSING"
	tokenMalformed    Reason = "TOKEN_MALFORMED"
	keysUnavailable   Reason = "KEYS_UNAVAILABLE"
	stateUnavailable  Reason = "STATE_UNAVAILABLE"
	scopeInsufficient Reason = "SCOPE_INSUFFICIENT"
	proofInvalid      Reason = "PROOF_INVALID"
)

func reasonFrom(number sidecarv1.Reason) Reason {
	if name, known := sidecarv1.Reason_name[int32(number)]; known {
		return Reason(strings.TrimPrefix(name, "REASON_"))
	}
	return Reason(strconv.Itoa(int(number)))
}

func (r Reason) number() int {
	if number, known := sidecarv1.Reason_value["REASON_"+string(r)]; known {
		return int(number)
	}
	number, _ := strconv.Atoi(string(r))
	return number
}

// code also classifies the reasons of newer sidecars: 80 to 99 are those of authorization.
func (e *RefusedError) code() codes.Code {
	switch number := e.Reason.number(); {
	case e.Reason == keysUnavailable || e.Reason == stateUnavailable:
		return codes.Unavailable
	case e.insufficient || e.Reason != proofInvalid && 80 <= number && number <= 99:
		return codes.PermissionDenied
	default:
		return codes.Unauthenticated
	}
}

// RefusedError is the contract's TokenRefused: the token may not pass.
type RefusedError struct {
	// Reason is stable: branch on it, never on Message.
	Reason Reason
	// Message is one sentence for a person. It never holds a token.
	Message string
	// What was asked, which the challenge repeats.
	scopes   []string
	withDPoP bool
	// Whether the call asked for what the token lacks, and not the sidecar's configuration.
	insufficient bool
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("jwtsidecar: token refused: %s: %s", e.Reason, e.Message)
}

// HTTPStatus is 401 or 403; it is 503 where the sidecar could not find out and the client may try
// again.
func (e *RefusedError) HTTPStatus() int {
	switch e.code() {
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.PermissionDenied:
		return http.StatusForbidden
	default:
		return http.StatusUnauthorized
	}
}

// GRPCStatus is UNAUTHENTICATED, PERMISSION_DENIED or UNAVAILABLE, with a message such as
// "EXPIRED: …". So a gRPC handler may return the error as it is.
func (e *RefusedError) GRPCStatus() *status.Status {
	return status.Newf(e.code(), "%s: %s", e.Reason, e.Message)
}

// WWWAuthenticate is the challenge (RFC 6750, section 3; RFC 9449, section 7.1), empty where there is
// none: another token or proof would not help.
func (e *RefusedError) WWWAuthenticate(realm string) string {
	code := e.code()
	switch {
	case code == codes.PermissionDenied && e.Reason != scopeInsufficient:
		return ""
	case e.Reason == tokenMissing:
		return fmt.Sprintf(`Bearer realm="%s"`, quotable(realm))
	case e.Reason == scopeInsufficient:
		return fmt.Sprintf(`Bearer realm="%s", error="insufficient_scope", scope="%s"`,
			quotable(realm), quotable(strings.Join(e.scopes, " ")))
	case e.Reason == proofInvalid && e.withDPoP:
		return fmt.Sprintf(`DPoP realm="%s", error="invalid_dpop_proof", error_description="%s"`,
			quotable(realm), quotable(e.Message))
	case code == codes.Unauthenticated:
		return fmt.Sprintf(`Bearer realm="%s", error="invalid_token", error_description="%s"`,
			quotable(realm), quotable(e.Message))
	default:
		return ""
	}
}

func (e *RefusedError) body() body {
	name := string(e.Reason)
	return body{Error: strings.ToLower(name), Reason: "REASON_" + name, Message: e.Message}
}

// verdict is nil for what the sidecar calls valid, without contradicting itself.
func verdict(answer answered, asked Requirements) error {
	valid, reason := answer.GetValid(), answer.GetReason()
	unspecified := reason == sidecarv1.Reason_REASON_UNSPECIFIED
	switch {
	case valid && unspecified:
		return nil
	case valid:
		return nonsense("valid, with a reason to refuse")
	case unspecified:
		return nonsense("neither valid nor a reason")
	default:
		return &RefusedError{
			Reason:       reasonFrom(reason),
			Message:      answer.GetMessage(),
			scopes:       asked.Scopes,
			withDPoP:     asked.Proof.DPoP != "",
			insufficient: insufficient(answer),
		}
	}
}

// answered is what the answers about access tokens and about refresh tokens have in common.
type answered interface {
	GetValid() bool
	GetReason() sidecarv1.Reason
	GetMessage() string
}

// insufficient is false for refresh tokens, of which a call requires nothing.
func insufficient(answer answered) bool {
	about, ok := answer.(*sidecarv1.ValidateTokenResponse)
	return ok && about.GetInsufficient()
}

// quotable is the text in the characters that RFC 6750, section 3 allows, cut to a bounded length.
func quotable(text string) string {
	characters := []rune(text)
	characters = characters[:min(len(characters), longestDescription)]
	for i, character := range characters {
		switch {
		case character == '"':
			characters[i] = '\''
		case character == '\\':
			characters[i] = '/'
		case character < ' ' || character > '~':
			characters[i] = '?'
		}
	}
	return string(characters)
}
