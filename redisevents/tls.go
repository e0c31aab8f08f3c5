package redisevents

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

func (c Config) tlsProblems() []string {
	var problems []string
	for name, value := range map[string]string{
		"CACertBase64": c.CACertBase64, "TLSServerName": c.TLSServerName, "ClientCert": c.ClientCert, "ClientKey": c.ClientKey,
	} {
		if value != "" && !c.TLS {
			problems = append(problems, name+" needs TLS")
		}
	}
	if (c.ClientCert == "") != (c.ClientKey == "") {
		problems = append(problems, "ClientCert and ClientKey need each other")
	}
	for name, file := range map[string]string{"ClientCert": c.ClientCert, "ClientKey": c.ClientKey} {
		if isKey(file) {
			problems = append(problems, name+" is to be the name of a file, and has the content of one")
		}
	}
	if c.TLSServerName != "" && !validHost(c.TLSServerName) {
		problems = append(problems, "TLSServerName is not a host's name or address"+whereItBelongs(c.TLSServerName))
	}
	if err := addRoots(x509.NewCertPool(), c.CACertBase64); err != nil {
		problems = append(problems, "CACertBase64 "+err.Error())
	}
	return problems
}

// tlsConfig returns nil without TLS. Where none is configured, the server's name is added per connection.
func (c Config) tlsConfig() (*tls.Config, error) {
	if !c.TLS {
		return nil, nil //nolint:nilnil // there is none
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.TLSServerName}
	if c.ClientCert != "" {
		pair := &clientPair{cert: c.ClientCert, key: c.ClientKey}
		if _, err := pair.read(); err != nil {
			return nil, err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.read() }
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

// clientPair is our certificate and its key.
type clientPair struct {
	cert, key string // files

	mu   sync.Mutex // guards what follows
	last *tls.Certificate
}

// read reads the files. While they cannot be read, or do not belong together, because one is being replaced, it returns what
// they were before.
func (p *clientPair) read() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pair, err := loadPair(p.cert, p.key)
	if err == nil {
		p.last = &pair
	}
	if p.last == nil {
		return nil, fmt.Errorf("ClientCert and ClientKey: %w", err)
	}
	return p.last, nil
}

func loadPair(cert, key string) (tls.Certificate, error) {
	certPEM, err := readPEM(cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readPEM(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// maxPEM bounds a file with certificates, or a key, in bytes.
const maxPEM = 1 << 20

// readPEM waits for nothing: a pipe in the place of the file would hold up every connection.
func readPEM(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is not a regular file", path))
	}
	data, err := io.ReadAll(io.LimitReader(file, maxPEM+1))
	if len(data) > maxPEM {
		err = fmt.Errorf("%s has more than %d bytes", path, maxPEM)
	}
	return data, err
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

func handshake(ctx context.Context, conn net.Conn, secure *tls.Config, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("host of %q: %w", addr, err)
	}
	made := &secureConn{}
	secure = secure.Clone()
	if secure.ServerName == "" {
		secure.ServerName = host
	}
	ours := secure.GetClientCertificate
	secure.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		made.asked = true // before the handshake returns
		if ours == nil {
			return &tls.Certificate{}, nil // we have none
		}
		return ours(request)
	}
	client := tls.Client(conn, secure)
	if err := client.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) { // a Redis without TLS waits for the end of a line
			err = fmt.Errorf("the server did not answer, as one that does not speak TLS: %w", err)
		}
		return nil, fmt.Errorf("TLS handshake with %s: %w", addr, blameTLS(err))
	}
	made.Conn = client
	return made, nil
}

// secureConn explains what the server thinks of our certificate. With TLS 1.3 that comes only after the handshake, and a
// server that closes the connection at once may be quicker than its own explanation.
type secureConn struct {
	net.Conn

	asked bool // for a certificate
	heard atomic.Bool
}

// Read reads from the connection.
func (c *secureConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	return n, c.explain(err)
}

// Write writes to the connection.
func (c *secureConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.explain(err)
}

func (c *secureConn) explain(err error) error {
	var timeout net.Error
	explained := blameTLS(err)
	switch {
	case err == nil || explained != err || !c.asked || c.heard.Load(): //nolint:errorlint // whether it is the same one
	case errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, net.ErrClosed):
	default:
		return &tlsError{refusedOurs, err}
	}
	return explained
}

const refusedOurs = "the server refused our certificate, or the lack of one (ClientCert and ClientKey)"

// tlsError says which side refused what.
type tlsError struct {
	what string
	err  error
}

func (e *tlsError) Error() string { return e.what + ": " + e.err.Error() }

// Unwrap returns a list, since the driver takes a single error out of what wraps it, and would leave out the explanation.
func (e *tlsError) Unwrap() []error { return []error{e.err} }

// blameTLS explains what can be explained.
func blameTLS(err error) error {
	var (
		remote *net.OpError
		plain  tls.RecordHeaderError
		ours   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &remote) && remote.Op == "remote error":
		if strings.Contains(remote.Err.Error(), "certificate") { // an alert has no other name
			return &tlsError{refusedOurs, err}
		}
		return &tlsError{"the server refused the connection", err}
	case errors.As(err, &ours):
		return &tlsError{"we refused the server's certificate (CACertBase64 adds an authority, TLSServerName says the name that it is for)", err}
	case errors.As(err, &plain):
		return &tlsError{"the server does not speak TLS", err}
	}
	return err
}
