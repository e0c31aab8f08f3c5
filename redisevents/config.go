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

// Config says how to reach Redis. When Config is printed, logged or written as JSON, it does not show the passwords. It
// does not show the value of another field either if that looks wrong there, because it may be a misplaced password.
type Config struct {
	// Host is the name or address of one Redis server. Exactly one of Host and Addrs is required.
	Host string `json:"host,omitempty"`
	// Port is the port at Host. Empty means 6379.
	Port string `json:"port,omitempty"`
	// Username is for servers with ACLs. Empty means the server's default user.
	Username string `json:"username,omitempty"`
	// Password is sent when it is not empty.
	Password string `json:"password,omitempty"`
	// DB is the number of the database that holds the stream; Pub/Sub does not depend on it. Zero is the first
	// database, and the only one in a Cluster.
	DB int `json:"db,omitempty"`
	// TLS encrypts the connection, with TLS 1.2 at least, and verifies that the certificate is valid for the host that
	// is connected to. False means plain TCP.
	TLS bool `json:"tls,omitempty"`
	// TLSServerName is the name for which the server's certificate has to be valid, and which is sent to the server, if
	// that is not the host that is connected to. It needs TLS. Empty means the host that is connected to.
	TLSServerName string `json:"tlsServerName,omitempty"`
	// ClientCert and ClientKey are files in PEM form with our own certificate and its key, for servers that ask for
	// one. They are read for each connection, so that a renewed pair is used without a restart. While the two files do
	// not belong together, the last valid pair is used. Both fields are required together, and they need TLS. Empty
	// sends no certificate.
	ClientCert string `json:"clientCert,omitempty"`
	ClientKey  string `json:"clientKey,omitempty"`
	// CACertBase64 is one or more certificates, in PEM form and then in base64, that are trusted as roots in addition
	// to those of the system. It needs TLS. Empty adds none.
	CACertBase64 string `json:"caCertBase64,omitempty"`
	// Addrs is a list of "host:port". With MasterName they are Sentinels. Without it they are nodes of a Cluster:
	// PubSub connects to any one of them, and Stream and Publisher ask them for the other nodes. A single address
	// without MasterName means the same as Host and Port.
	Addrs []string `json:"addrs,omitempty"`
	// Cluster says that a single address, in Host or Addrs, is that of a Cluster. With false, the feeds and the
	// publisher find that out: they treat a server that answers MOVED, or that says it belongs to a Cluster, as a node
	// until it says otherwise. The first attempt may fail then.
	Cluster bool `json:"cluster,omitempty"`
	// MasterName is the name that the Sentinels have for the master. It needs Addrs. Empty means that there are no
	// Sentinels.
	MasterName string `json:"masterName,omitempty"`
	// SentinelUsername is for Sentinels with ACLs. It needs SentinelPassword. Empty means their default user.
	SentinelUsername string `json:"sentinelUsername,omitempty"`
	// SentinelPassword is sent to Sentinels, which never get Password. It needs MasterName. Empty sends none.
	SentinelPassword string `json:"sentinelPassword,omitempty"`
	// SilenceLimit is how long a connection may deliver no complete message or reply before it counts as dead. In this
	// time a ping is sent, or the stream is read again, three times. Zero means 10 s. A limit of more than 73 years
	// counts as 73 years.
	SilenceLimit time.Duration `json:"silenceLimit,omitempty"`
	// NoHeartbeats is for a manager that sends versions but no heartbeats: missing heartbeats then are not a sign of a
	// loss. False means that heartbeats are expected wherever Redis allows their channel.
	NoHeartbeats bool `json:"noHeartbeats,omitempty"`
}

// Validate returns nil, or one error that names every field that is missing or wrong. The error quotes no value,
// because any field may contain a misplaced password.
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

// LogValue returns the configuration without its passwords.
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
