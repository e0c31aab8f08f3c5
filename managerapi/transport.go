package managerapi

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Bounds of one connection. The time-out of an attempt bounds what they leave open.
const (
	dialTimeout         = 10 * time.Second
	tlsHandshakeTimeout = 10 * time.Second
	idleConnTimeout     = 90 * time.Second
	// An HTTP/2 connection is shared by all requests, so one that went silent has to be noticed by itself.
	pingAfter         = 15 * time.Second
	pingTimeout       = 10 * time.Second
	maxIdleConns      = 8
	maxResponseHeader = 256 << 10
)

// newTransport makes a transport of our own, so that what the program does to http.DefaultTransport does not reach us.
func newTransport(config *tls.Config, timeout time.Duration) *http.Transport {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    tlsHandshakeTimeout,
		ResponseHeaderTimeout:  timeout,
		IdleConnTimeout:        idleConnTimeout,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdleConns,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true, // the client does it, to limit what goes in and what comes out
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

// parseBaseURL returns the URL without a slash at its end. Its errors do not repeat the URL, which may hold a password.
func parseBaseURL(raw string, allowHTTP bool) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("the scheme must be https or http")
	case u.Hostname() == "":
		return "", errors.New("the host is missing")
	case strings.ContainsFunc(u.Hostname(), unusualInHost):
		return "", errors.New("the host has a character that no host has; a password does not belong there")
	case u.User != nil:
		return "", errors.New("a user or password does not belong there")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("a query or fragment does not belong there")
	case u.Scheme == "http" && !allowHTTP && !isLoopback(u.Hostname()):
		return "", errors.New("https is required unless the host is loopback or AllowInsecureHTTP is set")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// unusualInHost is what neither a name nor an address has. The resolver would quote it, and it may be a password that somebody
// has put there in the form of another program.
func unusualInHost(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_:%", r)
}

// isLoopback goes by the name alone: asking DNS would touch the network and could be answered differently later.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
