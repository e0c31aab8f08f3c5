package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// managerTLSFlags say how TLS is spoken with the manager, to every command that talks to one.
type managerTLSFlags struct {
	ManagerCAFile string `group:"manager TLS" help:"A file with certificates of authorities that may have signed the manager's certificate. They are trusted in addition to those of the system." name:"manager-ca-file" placeholder:"FILE" predictor:"file" setting:"manager-ca"`

	ManagerServerName string `group:"manager TLS" help:"The name for which the manager's certificate is valid, if it is not the host in the URL." name:"manager-server-name" placeholder:"NAME" setting:"manager-name"`

	ManagerCert string `group:"manager TLS" help:"A file with a client certificate, for a manager that asks for one. The file is read again when it changes." name:"manager-cert" placeholder:"FILE" predictor:"file" setting:"manager-cert"`

	ManagerKey string `group:"manager TLS" help:"A file with the key of the client certificate." name:"manager-key" placeholder:"FILE" predictor:"file" setting:"manager-key"`
}

// The settings of TLS with the manager.
var (
	managerCA   = setting{what: "manager CA", flag: "--manager-ca-file", variables: []string{"TENANTWATCH_MANAGER_CA_FILE"}, optional: true}
	managerName = setting{what: "manager's name", flag: "--manager-server-name", variables: []string{"TENANTWATCH_MANAGER_SERVER_NAME"}, optional: true}
	managerCert = setting{what: "our certificate", flag: "--manager-cert", variables: []string{"TENANTWATCH_MANAGER_CERT"}, optional: true}
	managerKey  = setting{what: "its key", flag: "--manager-key", variables: []string{"TENANTWATCH_MANAGER_KEY"}, optional: true}
)

// errNoCertificate is of a file that should have certificates, and an empty one has none either.
var errNoCertificate = errors.New("it has no certificate in PEM form")

// resolve returns nil when nothing but the system's way is asked for.
func (f *managerTLSFlags) resolve(l *lookup, managerURL string) *tls.Config {
	authority, name := l.value(managerCA, f.ManagerCAFile), l.value(managerName, f.ManagerServerName)
	certFile, keyFile := l.value(managerCert, f.ManagerCert), l.value(managerKey, f.ManagerKey)
	if authority+name+certFile+keyFile == "" {
		return nil
	}
	if strings.HasPrefix(strings.ToLower(managerURL), "http://") {
		l.problems.note("--manager-ca-file, --manager-server-name, --manager-cert and --manager-key are for TLS, and the manager's URL begins with http://")
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	if authority != "" {
		cfg.RootCAs = l.roots(managerCA, authority)
	}
	if l.pair(managerCert, managerKey, certFile, keyFile) {
		own, err := newCertificate(context.Background(), certFile, keyFile, slog.New(slog.DiscardHandler)) // it only looks at files
		if err != nil {
			l.problems.note(fmt.Sprintf("%s and %s: %v", managerCert.flag, managerKey.flag, err))
			return cfg
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return own.get(context.Background()), nil // looking bounds itself
		}
	}
	return cfg
}

// pair reports whether both files of a pair are there, and notes when only one is.
func (l *lookup) pair(cert, key setting, certFile, keyFile string) bool {
	if (certFile == "") != (keyFile == "") {
		l.problems.note(cert.flag + " and " + key.flag + " need each other")
	}
	return certFile != "" && keyFile != ""
}

// roots are the certificates of the system and those in a file.
func (l *lookup) roots(s setting, file string) *x509.CertPool {
	pool, err := x509.SystemCertPool()
	var pem []byte
	if err == nil {
		pem, err = readSettingFile(context.Background(), file)
	}
	if err == nil && !pool.AppendCertsFromPEM(pem) {
		err = errNoCertificate
	}
	if err != nil {
		l.problems.note(s.flag + ": " + err.Error())
	}
	return pool
}
