package jwtsidecar

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/jwt-sidecar/jwt-sidecar/clients/go/sidecarv1"
)

// Requirements is what a token must meet besides the sidecar's configuration, and how it was
// presented. The zero value asks for nothing more.
type Requirements struct {
	// IssuerName is the configured issuer that the token must come from.
	IssuerName string
	// Audiences replace the issuer's: at least one must be in `aud`.
	Audiences []string
	// Scopes must all be granted by the token.
	Scopes []string
	// RequiredClaims must be there with these values, by dotted path: a scalar equals the claim or is
	// an element of it; a slice means any one of its elements.
	RequiredClaims map[string]any
	// ClientAddress is of whoever presented the token, IPv4 or IPv6 text. It belongs to one request,
	// as Proof does.
	ClientAddress string
	// Proof shows that the presenter holds the key that the token is bound to.
	Proof Proof
}

// Proof is for a sender-constrained token. The zero value is no proof.
type Proof struct {
	// DPoP is the proof JWT (RFC 9449), HTTPMethod and HTTPURI those of the request that carried it,
	// the URI without query and fragment.
	DPoP, HTTPMethod, HTTPURI string
	// ClientCertificateSHA256 is of the client's certificate in DER, 32 bytes (RFC 8705).
	ClientCertificateSHA256 []byte
}

// Token is what a verified token says. Text is empty, and times are zero, where the token has none.
type Token struct {
	// IssuerName is the configured issuer that vouches for it, empty for a consumer's.
	IssuerName string
	// Consumer is the name of the consumer whose key signed it, empty for an issuer's.
	Consumer string
	// The claims `iss`, `sub`, `aud` and `jti`.
	Issuer, Subject string
	Audiences       []string
	TokenID         string
	// Scopes granted, from `scope` or `scp`.
	Scopes []string
	// The claims `iat`, `nbf` and `exp`.
	IssueTime, NotBeforeTime, ExpireTime time.Time
	// KeyID is the `kid` of the key that verified it, Algorithm the JWS algorithm, such as "RS256".
	KeyID, Algorithm string
	// ClaimsJSON is the claims set, a JSON object: an issuer's exactly as signed, of a consumer's token
	// what the consumer's record grants or allows, as in all fields here. Decode it into a map, or with
	// care: encoding/json matches names to the fields of a struct without regard to case, and claims
	// have case.
	ClaimsJSON string
}

// Issued is a new token. Its text, in any format and in a log, has no token in it, nor has its JSON.
type Issued struct {
	// Token is in compact form.
	Token     string `json:"-"`
	TokenID   string
	KeyID     string
	Algorithm string
	// ExpireTime is the claim `exp`, IssueTime `iat`.
	IssueTime, ExpireTime time.Time
	// RefreshToken is opaque, and empty unless it was asked for.
	RefreshToken string `json:"-"`
	// RefreshExpireTime is zero where there is no refresh token.
	RefreshExpireTime time.Time
}

// Format writes the same for every verb.
func (i Issued) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "token %q until %s", i.TokenID, i.ExpireTime.Format(time.RFC3339))
}

// LogValue is the token's id and end.
func (i Issued) LogValue() slog.Value {
	return slog.GroupValue(slog.String("token_id", i.TokenID), slog.Time("expire_time", i.ExpireTime))
}

func (r Requirements) request(token string) (*sidecarv1.ValidateTokenRequest, error) {
	request := &sidecarv1.ValidateTokenRequest{
		Token:         sendable(token),
		IssuerName:    r.IssuerName,
		Audiences:     r.Audiences,
		Scopes:        r.Scopes,
		ClientAddress: sendable(r.ClientAddress),
		Proof:         r.Proof.message(),
	}
	if len(r.RequiredClaims) > 0 {
		claims, err := json.Marshal(r.RequiredClaims)
		if err != nil {
			return nil, &RejectedError{
				Code: codes.InvalidArgument, ErrorReason: "FIELD_INVALID", Message: "RequiredClaims: " + err.Error(),
			}
		}
		request.RequiredClaimsJson = string(claims)
	}
	return request, nil
}

func (p Proof) message() *sidecarv1.ProofOfPossession {
	if p.DPoP == "" && len(p.ClientCertificateSHA256) == 0 {
		return nil
	}
	return &sidecarv1.ProofOfPossession{
		Dpop:                    sendable(p.DPoP),
		HttpMethod:              sendable(p.HTTPMethod),
		HttpUri:                 sendable(p.HTTPURI),
		ClientCertificateSha256: p.ClientCertificateSHA256,
	}
}

// sendable leaves it to the sidecar to refuse what is no UTF-8, which gRPC can't send: U+FFFD is in no
// token, proof or address.
func sendable(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func tokenFrom(message *sidecarv1.Token) *Token {
	return &Token{
		IssuerName:    message.GetIssuerName(),
		Consumer:      message.GetConsumer(),
		Issuer:        message.GetIssuer(),
		Subject:       message.GetSubject(),
		Audiences:     message.GetAudiences(),
		TokenID:       message.GetTokenId(),
		Scopes:        message.GetScopes(),
		IssueTime:     timeFrom(message.GetIssueTime()),
		NotBeforeTime: timeFrom(message.GetNotBeforeTime()),
		ExpireTime:    timeFrom(message.GetExpireTime()),
		KeyID:         message.GetKeyId(),
		Algorithm:     message.GetAlgorithm(),
		ClaimsJSON:    message.GetClaimsJson(),
	}
}

func (t *Token) clone() *Token {
	other := *t
	other.Audiences = slices.Clone(t.Audiences)
	other.Scopes = slices.Clone(t.Scopes)
	return &other
}

func issuedFrom(message *sidecarv1.IssueTokenResponse) (*Issued, error) {
	if message.GetToken() == "" {
		return nil, nonsense("a token was issued and is not there")
	}
	return &Issued{
		Token:             message.GetToken(),
		TokenID:           message.GetTokenId(),
		KeyID:             message.GetKeyId(),
		Algorithm:         message.GetAlgorithm(),
		IssueTime:         timeFrom(message.GetIssueTime()),
		ExpireTime:        timeFrom(message.GetExpireTime()),
		RefreshToken:      message.GetRefreshToken(),
		RefreshExpireTime: timeFrom(message.GetRefreshExpireTime()),
	}, nil
}

func timeFrom(message *timestamppb.Timestamp) time.Time {
	if message == nil {
		return time.Time{}
	}
	return message.AsTime()
}

func isObject(text string) bool {
	return strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") && json.Valid([]byte(text))
}
