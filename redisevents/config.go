package redisevents

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPort         = "6379"
	defaultSilenceLimit = 10 * time.Second
	redacted            = "REDACTED"
)

// Config says how to reach Redis. Printed, logged or written as JSON, it does not show the passwords.
type Config struct {
	// Host is the name or address of one Redis server. Either Host or Addrs is required, and not both.
	Host string `json:"host,omitempty"`
	// Port belongs to Host. Empty is 6379.
	Port string `json:"port,omitempty"`
	// Username is for servers with ACLs. Empty is the server's default user.
	Username string `json:"username,omitempty"`
	// Password is sent when it is not empty.
	Password string `json:"password,omitempty"`
	// DB is the number of the database for keys; Pub/Sub has none. Zero is the first. A Cluster has no other.
	DB int `json:"db,omitempty"`
	// TLS encrypts the connection, with TLS 1.2 at least, and verifies that the certificate is for the host that is
	// connected to. False is plain TCP.
	TLS bool `json:"tls,omitempty"`
	// CACertBase64 is one certificate or more, as PEM in base64, that are trusted as roots in addition to those of
	// the system. It needs TLS. Empty adds none.
	CACertBase64 string `json:"caCertBase64,omitempty"`
	// Addrs is a list of "host:port". With MasterName they are Sentinels, without it nodes of a Cluster: PubSub
	// connects to any one of them, Stream and Publisher ask them for the others. A single one without MasterName is one
	// server, as if it were given by Host and Port.
	Addrs []string `json:"addrs,omitempty"`
	// MasterName is the name by which Sentinels know the master. It needs Addrs. Empty means that there are no
	// Sentinels.
	MasterName string `json:"masterName,omitempty"`
	// SentinelUsername is for Sentinels with ACLs. It needs SentinelPassword. Empty is their default user.
	SentinelUsername string `json:"sentinelUsername,omitempty"`
	// SentinelPassword is sent to Sentinels, which never get Password. It needs MasterName. Empty sends none.
	SentinelPassword string `json:"sentinelPassword,omitempty"`
	// SilenceLimit is how long a connection may bring nothing complete before it is taken for dead. A ping is
	// sent, or the stream read anew, three times as often. Zero is 10 s.
	SilenceLimit time.Duration `json:"silenceLimit,omitempty"`
	// NoHeartbeats is for a manager that sends versions and no heartbeats: none is expected then, and the want of them is no
	// sign of a loss. False expects them wherever their channel can be heard.
	NoHeartbeats bool `json:"noHeartbeats,omitempty"`
}

// Validate returns nil, or one error that names every field that is missing or wrong.
func (c Config) Validate() error {
	problems := append(c.addressProblems(), c.otherProblems()...)
	if len(problems) == 0 {
		return nil
	}
	return errors.New("invalid Redis configuration: " + strings.Join(problems, "; "))
}

// Format prints the configuration without its passwords, whatever the verb.
func (c Config) Format(state fmt.State, verb rune) {
	_, _ = fmt.Fprintf(state, fmt.FormatString(state, verb), c.withoutSecrets())
}

// LogValue is the configuration without its passwords.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.withoutSecrets()) }

// MarshalJSON writes the configuration without its passwords.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.withoutSecrets()) }

func (c Config) addressProblems() []string {
	var problems []string
	switch {
	case c.Host == "" && len(c.Addrs) == 0:
		problems = append(problems, "Host or Addrs is required")
	case c.Host != "" && len(c.Addrs) > 0:
		problems = append(problems, "Host and Addrs exclude each other")
	}
	if c.Port != "" && !validPort(c.Port) {
		problems = append(problems, fmt.Sprintf("Port %q is not a number from 1 to 65535", c.Port))
	}
	for _, addr := range c.Addrs {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || !validPort(port) {
			problems = append(problems, fmt.Sprintf("Addrs: %q is not host:port", addr))
		}
	}
	if c.MasterName != "" && len(c.Addrs) == 0 {
		problems = append(problems, "MasterName needs Addrs")
	}
	return problems
}

func (c Config) otherProblems() []string {
	var problems []string
	if c.DB < 0 || c.DB > 0 && c.isCluster() {
		problems = append(problems, "DB is negative, or not 0 with a Cluster")
	}
	if c.Username != "" && c.Password == "" {
		problems = append(problems, "Username needs Password")
	}
	if c.SentinelUsername != "" && c.SentinelPassword == "" {
		problems = append(problems, "SentinelUsername needs SentinelPassword")
	}
	if c.SentinelPassword != "" && c.MasterName == "" {
		problems = append(problems, "SentinelPassword needs MasterName")
	}
	if c.CACertBase64 != "" && !c.TLS {
		problems = append(problems, "CACertBase64 needs TLS")
	}
	if err := addRoots(x509.NewCertPool(), c.CACertBase64); err != nil {
		problems = append(problems, "CACertBase64 "+err.Error())
	}
	if c.SilenceLimit < 0 {
		problems = append(problems, "SilenceLimit is negative")
	}
	return problems
}

// addrs returns what go-redis is to connect to first.
func (c Config) addrs() []string {
	if len(c.Addrs) > 0 {
		return append([]string(nil), c.Addrs...)
	}
	port := c.Port
	if port == "" {
		port = defaultPort
	}
	return []string{net.JoinHostPort(strings.Trim(c.Host, "[]"), port)}
}

func (c Config) isCluster() bool { return len(c.Addrs) > 1 && c.MasterName == "" }

func (c Config) silenceLimit() time.Duration {
	if c.SilenceLimit == 0 {
		return defaultSilenceLimit
	}
	return c.SilenceLimit
}

// tlsConfig returns nil without TLS. The server's name is added per connection.
func (c Config) tlsConfig() (*tls.Config, error) {
	var conf *tls.Config
	if c.TLS {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.CACertBase64 == "" {
		return conf, nil // without RootCAs it trusts the system's
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's root certificates: %w", err)
	}
	if err := addRoots(roots, c.CACertBase64); err != nil {
		return nil, fmt.Errorf("CACertBase64 %w", err)
	}
	conf.RootCAs = roots
	return conf, nil
}

// secrets returns what no error may quote.
func (c Config) secrets() []string { return []string{c.Password, c.SentinelPassword} }

// redactedConfig is a Config whose passwords are gone. It has none of Config's methods.
type redactedConfig Config

func (c Config) withoutSecrets() redactedConfig {
	if c.Password != "" {
		c.Password = redacted
	}
	if c.SentinelPassword != "" {
		c.SentinelPassword = redacted
	}
	return redactedConfig(c)
}

func addRoots(pool *x509.CertPool, inBase64 string) error {
	if inBase64 == "" {
		return nil
	}
	pem, err := base64.StdEncoding.DecodeString(strings.TrimSpace(inBase64))
	if err != nil {
		return errors.New("is not base64")
	}
	if !pool.AppendCertsFromPEM(pem) {
		return errors.New("holds no certificate in PEM form")
	}
	return nil
}

func validPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0
}
