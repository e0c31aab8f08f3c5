package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// inWords is what is wrong with the manager at a URL, in the words of whoever called the command: without the request, the status
// and the steps of this program, which --verbose adds.
func inWords(managerURL string, err error, verbose bool) string {
	answer, answered := errors.AsType[*managerapi.Error](err)
	var words string
	switch {
	case isNoManager(err):
		words = "what answers at " + managerURL + " is not a tenant manager"
	case answered:
		words = answerInWords(answer)
	case connectionInWords(err) != "":
		words = "the manager at " + managerURL + " cannot be reached: " + connectionInWords(err)
	default:
		return fmt.Sprintf("the manager at %s: %v", managerURL, err)
	}
	if verbose {
		words += fmt.Sprintf(" (%v)", err)
	}
	return words
}

// isNoManager reports whether what answers there cannot be a tenant manager: it sends us away, or does not speak the protocol. A
// manager that does not have the call says so in the protocol's form.
func isNoManager(err error) bool {
	if _, unreadable := errors.AsType[*managerapi.DecodeError](err); unreadable {
		return true
	}
	answer, answered := errors.AsType[*managerapi.Error](err)
	return answered && answer.Code == "" && (answer.StatusCode == http.StatusNotFound || answer.StatusCode/100 == 3)
}

// answerInWords is what the manager says, which is meant for people. A status alone is all that there is from others.
func answerInWords(answer *managerapi.Error) string {
	status := strings.ToLower(cmp.Or(http.StatusText(answer.StatusCode), fmt.Sprintf("status %d", answer.StatusCode)))
	return cmp.Or(answer.Message, status)
}

// connectionInWords is why there was no answer; empty for another kind of error.
func connectionInWords(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return "the host " + shown(dns.Name) + " is not known"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return ""
}

// spoken is the text of an error, with the answer of a manager in it in words.
func spoken(err error, verbose bool) string {
	answer, answered := errors.AsType[*managerapi.Error](err)
	if !answered || verbose {
		return err.Error()
	}
	return strings.Replace(err.Error(), answer.Error(), answerInWords(answer), 1)
}
