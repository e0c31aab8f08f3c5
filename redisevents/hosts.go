package redisevents

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// What has no business in an address may be a password, in one of the many forms in which other programs write both
// together. No part of such a text is certainly none, so the field is named and nothing of the text is shown.

func (c Config) addressProblems() []string {
	var problems []string
	switch {
	case c.Host == "" && len(c.Addrs) == 0:
		problems = append(problems, "Host or Addrs is required")
	case c.Host != "" && len(c.Addrs) > 0:
		problems = append(problems, "Host and Addrs exclude each other")
	}
	if c.Host != "" && !validHost(c.Host) {
		problems = append(problems, "Host is not the name or address of a server"+whereItBelongs(c.Host))
	}
	if c.Port != "" && !validPort(c.Port) {
		problems = append(problems, "Port is not a number from 1 to 65535"+whereItBelongs(c.Port))
	}
	for i, addr := range c.Addrs {
		if !validAddr(addr) {
			problems = append(problems, fmt.Sprintf("Addrs[%d] is not host:port%s", i, whereItBelongs(addr)))
		}
	}
	return append(problems, c.masterProblems()...)
}

func (c Config) masterProblems() []string {
	var problems []string
	if c.MasterName != "" && len(c.Addrs) == 0 {
		problems = append(problems, "MasterName needs Addrs")
	}
	if c.MasterName != "" && c.Cluster {
		problems = append(problems, "MasterName and Cluster exclude each other")
	}
	if !validMaster(c.MasterName) {
		problems = append(problems, "MasterName has more in it than letters, digits and . - _ :")
	}
	return problems
}

// whereItBelongs says what to do with the rest of a text that is not an address.
func whereItBelongs(text string) string {
	switch {
	case strings.Contains(text, "://"):
		return ": ParseURL reads a URL, and without it a user and a password go into Username and Password"
	case strings.ContainsAny(text, "@=,;?"):
		return ": a user and a password go into Username and Password, other options into fields of their own"
	case strings.Contains(text, ":"):
		return ": a host and a port are all that it may have, with brackets around an IPv6 address; Host has no port, which goes into Port"
	}
	return ""
}

// validHost reports whether a text can be a host. Anything else would get as far as the resolver, which quotes it.
func validHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && validIPv6(inner)
	}
	return isName(host) || validIPv6(host)
}

func validIPv6(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Is6() && (addr.Zone() == "" || isName(addr.Zone()))
}

func isName(text string) bool { return text != "" && hasOnly(text, ".-_") }

// hasOnly reports whether a text has letters, digits and some other characters alone.
func hasOnly(text, others string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(others, r)
	})
}

func validPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0
}

func validAddr(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	return err == nil && validHost(host) && validPort(port)
}

func validMaster(name string) bool { return hasOnly(name, ".-_:") }

// validUser does without the characters that part a user from a password.
func validUser(name string) bool { return !strings.ContainsAny(name, ":,;=/? ") }

// isKey reports whether a text is a certificate or a key, in one of the forms that are not the name of its file.
func isKey(text string) bool {
	const (
		pemBegins = "-----BEGIN"
		derBegins = 0x30 // a sequence
		shortest  = 40   // bytes of a key
	)
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	return strings.Contains(text, pemBegins) || strings.ContainsAny(text, "\r\n") ||
		err == nil && (strings.Contains(string(data), pemBegins) || len(data) >= shortest && data[0] == derBegins)
}

// onlyCertificates reports whether a text in base64 has only certificates, which are not secret.
func onlyCertificates(inBase64 string) bool {
	rest, err := base64.StdEncoding.DecodeString(strings.TrimSpace(inBase64))
	for strings.TrimSpace(string(rest)) != "" {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return false
		}
	}
	return err == nil
}

// redactedConfig is a Config whose secrets are gone. It has none of Config's methods.
type redactedConfig Config

func (c Config) withoutSecrets() redactedConfig {
	none := func(string) bool { return false }
	isFile := func(text string) bool { return !isKey(text) }
	c.Addrs = slices.Clone(c.Addrs)
	for i := range c.Addrs {
		conceal(&c.Addrs[i], validAddr)
	}
	for _, field := range []struct {
		text *string
		fit  func(string) bool
	}{
		{&c.Password, none},
		{&c.SentinelPassword, none},
		{&c.Host, validHost},
		{&c.Port, validPort},
		{&c.MasterName, validMaster},
		{&c.TLSServerName, validHost},
		{&c.Username, validUser},
		{&c.SentinelUsername, validUser},
		{&c.ClientCert, isFile},
		{&c.ClientKey, isFile},
		{&c.CACertBase64, onlyCertificates},
	} {
		conceal(field.text, field.fit)
	}
	return redactedConfig(c)
}

// conceal replaces what is not fit to be shown.
func conceal(text *string, fit func(string) bool) {
	if *text != "" && !fit(*text) {
		*text = redacted
	}
}
