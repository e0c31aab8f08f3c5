package server

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 128
	requestIDBytes  = 16
)

// requestID is what the client calls its request, or a name that is made for it.
func requestID(h http.Header) string {
	if given := h.Get(headerRequestID); isRequestID(given) {
		return given
	}
	made := make([]byte, requestIDBytes)
	_, _ = rand.Read(made) // it never fails
	return hex.EncodeToString(made)
}

// isRequestID takes what cannot be mistaken for anything else in a log line.
func isRequestID(text string) bool {
	if text == "" || len(text) > maxRequestID {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("-_.:/+=@", r)
	})
}

// proxies are those whose word counts on where a request comes from.
type proxies []netip.Prefix

// CheckProxies is an error when one of Config.TrustedProxies cannot be one.
func CheckProxies(list []string) error {
	_, err := parseProxies(list)
	return err
}

func parseProxies(list []string) (proxies, error) {
	var out proxies
	for _, one := range list {
		prefix, err := parseProxy(one)
		if err != nil {
			return nil, err
		}
		out = append(out, prefix)
	}
	return out, nil
}

// mappedBits is how much of an address of IPv4 that is written as one of IPv6 says just that.
const mappedBits = 96

// parseProxy returns networks of IPv4 in the form in which addresses are compared, however they are written.
func parseProxy(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is not an address or a network, as in 10.0.0.0/8", text)
	case !prefix.Addr().Is4In6():
		return prefix.Masked(), nil
	case prefix.Bits() < mappedBits:
		return netip.Prefix{}, fmt.Errorf("%q is larger than all of IPv4: say 0.0.0.0/0 for that", text)
	}
	return netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mappedBits).Masked(), nil
}

// trust takes an address with a zone, as link-local ones have it, for the one without.
func (p proxies) trust(text string) bool {
	addr, err := netip.ParseAddr(text)
	addr = addr.Unmap().WithZone("")
	return err == nil && slices.ContainsFunc(p, func(known netip.Prefix) bool { return known.Contains(addr) })
}

// address is where a request comes from: the peer, or, if that is a proxy which is trusted, what it says in X-Forwarded-For. Of
// several the last counts that no trusted proxy is, because anybody can have written those before it.
func (p proxies) address(r *http.Request) string {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		peer = r.RemoteAddr
	}
	if !p.trust(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		hop = bareAddress(strings.TrimSpace(hop))
		addr, err := netip.ParseAddr(hop)
		if err != nil {
			return peer // what cannot be read hides whatever is before it
		}
		peer = addr.Unmap().String()
		if !p.trust(peer) {
			break
		}
	}
	return peer
}

// bareAddress takes off what some proxies add: a port, and brackets.
func bareAddress(text string) string {
	if host, _, err := net.SplitHostPort(text); err == nil {
		return host
	}
	return strings.Trim(text, "[]")
}
