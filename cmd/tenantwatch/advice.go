package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// far is the other end of a connection, for advice: how people call it, and the flags that are about it.
type far struct {
	name                    string // as in "the manager"
	address, authority, own string // its URL, who signs its certificate, and our certificate
}

// The far ends.
var (
	farManager  = far{"the manager", "its URL", "--manager-ca-file", "--manager-cert and --manager-key"}
	farDatabase = far{"the database", "its URL", "sslrootcert in its URL", "sslcert and sslkey in its URL"}
)

// connectionAdvice is what to do about a connection that did not come to be, by the type of the cause and not by where it
// came from; empty for a cause of another kind.
func (f far) connectionAdvice(err error) string {
	if advice := f.tlsAdvice(err); advice != "" {
		return advice
	}
	dns, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case unknown && dns.IsNotFound:
		return fmt.Sprintf("Check %s: the host %s is not known.", f.address, shown(dns.Name))
	case unknown:
		return fmt.Sprintf("Check the name server: it does not say where %s is.", shown(dns.Name))
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Sprintf("Check the network, and %s: there is no way to it.", f.address)
	default:
		return ""
	}
}

func (f far) tlsAdvice(err error) string {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherHost := errors.AsType[x509.HostnameError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	alert, refused := errors.AsType[*net.OpError](err)
	refused = refused && alert.Op == "remote error" // as crypto/tls calls an alert of the other side, which has no type of its own
	switch {
	case unknown:
		return fmt.Sprintf("The certificate of %s is signed by nobody that this machine trusts: name the authority with %s.", f.name, f.authority)
	case otherHost:
		return fmt.Sprintf("The certificate of %s is for another name: use that in %s, or have one made for this name.", f.name, f.address)
	case isInvalid && invalid.Reason == x509.Expired:
		return fmt.Sprintf("The certificate of %s has expired, or is not valid yet: renew it there, and check the clocks.", f.name)
	case isInvalid:
		return fmt.Sprintf("The certificate of %s cannot be used: have another one made.", f.name)
	case plain || isPlainAnswer(err):
		return fmt.Sprintf("What answers does not speak TLS: check whether %s begins right, and the port.", f.address)
	case refused && f.own != "":
		return fmt.Sprintf("%s has refused the handshake (%v): check the certificate that it wants of us, in %s.", capital(f.name), alert.Err, f.own)
	case refused:
		return fmt.Sprintf("%s has refused the handshake (%v): look at its log.", capital(f.name), alert.Err)
	default:
		return ""
	}
}

// isPlainAnswer finds what net/http has no type for.
func isPlainAnswer(err error) bool {
	return strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
