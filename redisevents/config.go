package redisevents

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
)

const (
	defaultPort         = "6379"
	defaultSilenceLimit = 10 * time.Second
	// longestSilence can be added to some other times, and to the present, and stays a time.
	longestSilence = time.Duration(1 << 61)
	redacted       = "REDACTED"
)

// Config says how to reach Redis. Printed, logged or written as JSON, it does not show the passwords, nor what was written into
// another field and does not look like what belongs there, since it may be one.
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
	// TLSServerName is the name that the server's certificate has to be for, and that the server is told, where it is not
	// the one that is connected to. It needs TLS. Empty is the host that is connected to.
	TLSServerName string `json:"tlsServerName,omitempty"`
	// ClientCert and ClientKey are files in PEM form with our own certificate and its key, for servers that ask for one.
	// They are read for each connection, so that a renewed pair is taken up; while it does not fit together, the last one
	// that did is used. They need TLS and each other. Empty sends no certificate.
	ClientCert string `json:"clientCert,omitempty"`
	ClientKey  string `json:"clientKey,omitempty"`
	// CACertBase64 is one certificate or more, as PEM in base64, that are trusted as roots in addition to those of
	// the system. It needs TLS. Empty adds none.
	CACertBase64 string `json:"caCertBase64,omitempty"`
	// Addrs is a list of "host:port". With MasterName they are Sentinels, without it nodes of a Cluster: PubSub
	// connects to any one of them, Stream and Publisher ask them for the others. A single one without MasterName is one
	// server, as if it were given by Host and Port.
	Addrs []string `json:"addrs,omitempty"`
	// Cluster says that the one address that is given, by Host or Addrs, is that of a Cluster. False finds out: a server
	// that says MOVED, or that it belongs to one, is taken for a node until it says that it is none, at the price of a first
	// attempt that may fail.
	Cluster bool `json:"cluster,omitempty"`
	// MasterName is the name by which Sentinels know the master. It needs Addrs. Empty means that there are no
	// Sentinels.
	MasterName string `json:"masterName,omitempty"`
	// SentinelUsername is for Sentinels with ACLs. It needs SentinelPassword. Empty is their default user.
	SentinelUsername string `json:"sentinelUsername,omitempty"`
	// SentinelPassword is sent to Sentinels, which never get Password. It needs MasterName. Empty sends none.
	SentinelPassword string `json:"sentinelPassword,omitempty"`
	// SilenceLimit is how long a connection may bring nothing complete before it is taken for dead. A ping is
	// sent, or the stream read again, three times as often. Zero is 10 s; more than 70 years are 70 years.
	SilenceLimit time.Duration `json:"silenceLimit,omitempty"`
	// NoHeartbeats is for a manager that sends versions and no heartbeats: none is expected then, and the want of them is no
	// sign of a loss. False expects them wherever their channel can be heard.
	NoHeartbeats bool `json:"noHeartbeats,omitempty"`
}

// Validate returns nil, or one error that names every field that is missing or wrong, and quotes none: a password may have
// been written into any of them.
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
	problems = append(problems, c.tlsProblems()...)
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

func (c Config) isCluster() bool { return c.Cluster || len(c.Addrs) > 1 && c.MasterName == "" }

func (c Config) silenceLimit() time.Duration {
	if c.SilenceLimit == 0 {
		return defaultSilenceLimit
	}
	return min(c.SilenceLimit, longestSilence)
}

// secrets returns what no error may quote.
func (c Config) secrets() []string { return []string{c.Password, c.SentinelPassword} }
