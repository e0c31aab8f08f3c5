package managerapi

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a secret looks like in logs and error texts.
const redacted = "[redacted]"

// Secret is a string that is sent and received as it is. When fmt or log/slog prints it, it is shown as "[redacted]".
type Secret string

// Format writes "[redacted]", whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { writeRedacted(f, len(s)) }

// LogValue returns "[redacted]", or nothing for an empty secret.
func (s Secret) LogValue() slog.Value { return redactedValue(len(s)) }

// SecretJSON is a JSON value that may contain passwords and whose shape only the manager and its services know. It is
// sent and received as it is. When fmt or log/slog prints it, it is shown as "[redacted]". Decode it with
// json.Unmarshal.
type SecretJSON []byte

// MarshalJSON returns the value itself, and null for an empty one.
func (s SecretJSON) MarshalJSON() ([]byte, error) { return json.RawMessage(s).MarshalJSON() }

// UnmarshalJSON keeps a copy of data.
func (s *SecretJSON) UnmarshalJSON(data []byte) error {
	*s = append((*s)[:0], data...)
	return nil
}

// Format writes "[redacted]", whatever the verb.
func (s SecretJSON) Format(f fmt.State, _ rune) { writeRedacted(f, len(s)) }

// LogValue returns "[redacted]", or nothing for an empty value.
func (s SecretJSON) LogValue() slog.Value { return redactedValue(len(s)) }

// The types below hold secrets. A log handler that writes JSON would encode them as for the wire, so they bring a form
// of their own.

// LogValue shows the owner without the password hash.
func (o Owner) LogValue() slog.Value {
	return slog.GroupValue(slog.String("email", o.Email), slog.Bool("email_verified", o.EmailVerified))
}

// LogValue shows the request without the owner's password hash.
func (r CreateTenantRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", r.Name), slog.String("slug", r.Slug),
		slog.String("environment", r.Environment), slog.String("isolation", r.Isolation), slog.Any("owner", r.Owner))
}

// LogValue shows whose connections these are, and hides the connections.
func (c Connections) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", c.ID), slog.String("service", c.Service), slog.String("status", c.Status))
}

// LogValue returns "[redacted]".
func (d DatabaseConnections) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue shows the pool limits, and no connection.
func (r CreateAssociationRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("isolation_mode", r.IsolationMode),
		slog.Int("max_open_conns", r.MaxOpenConns), slog.Int("max_idle_conns", r.MaxIdleConns))
}

// LogValue shows the pool limits, and no connection.
func (r UpdateConnectionsRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("module", r.Module),
		slog.Int("max_open_conns", r.MaxOpenConns), slog.Int("max_idle_conns", r.MaxIdleConns))
}

func writeRedacted(w io.Writer, length int) {
	if length > 0 {
		_, _ = io.WriteString(w, redacted) // fmt keeps no error of its buffer
	}
}

func redactedValue(length int) slog.Value {
	if length == 0 {
		return slog.StringValue("")
	}
	return slog.StringValue(redacted)
}
