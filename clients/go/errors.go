package jwtsidecar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// UnavailableError is the contract's SidecarUnavailable: nothing is known of the token, since the
// sidecar is down, too slow or overloaded, or its answer makes no sense. A caller may try again.
// errors.Is finds context.DeadlineExceeded where it was too slow, and context.Canceled where the caller's
// context was cancelled.
type UnavailableError struct {
	// Cause is for a log, not for callers: it tells of the inside.
	Cause string
	ended error
}

func (e *UnavailableError) Error() string { return "jwtsidecar: sidecar unavailable: " + e.Cause }

func (e *UnavailableError) Unwrap() error { return e.ended }

// HTTPStatus is 503.
func (e *UnavailableError) HTTPStatus() int { return http.StatusServiceUnavailable }

// WWWAuthenticate is empty: no token would help.
func (e *UnavailableError) WWWAuthenticate(string) string { return "" }

// GRPCStatus is UNAVAILABLE. It doesn't tell the cause.
func (e *UnavailableError) GRPCStatus() *status.Status {
	return status.New(codes.Unavailable, e.body().Message)
}

func (e *UnavailableError) body() body {
	return body{Error: "sidecar_unavailable", Message: "the token can't be checked now"}
}

// RejectedError is the contract's CallRejected: the call was wrong, which only its author can mend.
type RejectedError struct {
	// Code is that of gRPC, such as codes.InvalidArgument.
	Code codes.Code
	// ErrorReason is a name of the contract's ErrorReason without its prefix, such as
	// "FIELD_INVALID", or empty.
	ErrorReason string
	// Message is for a log, not for callers: it tells of the inside.
	Message string
}

func (e *RejectedError) Error() string {
	reason := e.Code.String()
	if e.ErrorReason != "" {
		reason += " " + e.ErrorReason
	}
	return fmt.Sprintf("jwtsidecar: call rejected: %s: %s", reason, e.Message)
}

// HTTPStatus is 500.
func (e *RejectedError) HTTPStatus() int { return http.StatusInternalServerError }

// WWWAuthenticate is empty: no token would help.
func (e *RejectedError) WWWAuthenticate(string) string { return "" }

// GRPCStatus is INTERNAL. It doesn't tell the message.
func (e *RejectedError) GRPCStatus() *status.Status {
	return status.New(codes.Internal, e.body().Message)
}

func (e *RejectedError) body() body {
	return body{Error: "internal_error", Message: "the token can't be checked"}
}

// denial is what all errors of a call are: an answer to whoever presented the token.
type denial interface {
	error
	HTTPStatus() int
	WWWAuthenticate(realm string) string
	GRPCStatus() *status.Status
	body() body
}

type body struct {
	Error   string `json:"error"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message"`
}

// denialFrom finds the denial in an error; one of another kind is the service's own mistake.
func denialFrom(err error) denial {
	var found denial
	if errors.As(err, &found) {
		return found
	}
	return &RejectedError{Code: codes.Unknown, Message: fmt.Sprint(err)}
}

var rejections = []codes.Code{
	codes.InvalidArgument,
	codes.FailedPrecondition,
	codes.PermissionDenied,
	codes.Unauthenticated,
	codes.Unimplemented,
	codes.NotFound,
	codes.AlreadyExists,
	codes.OutOfRange,
}

// failure is the error of a call that gave no answer. Only a peer that speaks gRPC can have rejected it.
func failure(ctx context.Context, err error, speaksGRPC bool, secrets []string) error {
	answer := status.Convert(err)
	message := redacted(answer.Message(), secrets)
	if !speaksGRPC || !slices.Contains(rejections, answer.Code()) {
		return &UnavailableError{Cause: answer.Code().String() + ": " + message, ended: ended(ctx, answer)}
	}
	return &RejectedError{Code: answer.Code(), ErrorReason: errorReason(answer), Message: message}
}

// ended is what Unwrap gives. The sidecar, which knows the deadline too, may be the first to find it passed.
func ended(ctx context.Context, answer *status.Status) error {
	if answer.Code() == codes.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

func nonsense(what string) error {
	return &UnavailableError{Cause: "an answer that makes no sense: " + what}
}

func errorReason(answer *status.Status) string {
	for _, detail := range answer.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "jwt-sidecar" {
			return info.GetReason()
		}
	}
	return ""
}

// redacted is for whatever answers at the sidecar's address: it may repeat what it was sent.
func redacted(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[token]")
		}
	}
	return text
}
