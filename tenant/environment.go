package tenant

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxEnvironmentLength is the longest name of an environment, in bytes.
const MaxEnvironmentLength = 256

// noEnvironment is how the names on Redis call what belongs to no environment, so no environment can have that name.
const noEnvironment = "default"

// ParseEnvironment returns the normal form of an environment's name: in lower case, without white space around it.
// Names are compared and sent in this form. An empty name stays empty and means that no environment is configured.
//
// ParseEnvironment refuses a name that contains quotes, control characters or white space, that is not valid UTF-8, or
// whose normal form is longer than [MaxEnvironmentLength]. It also refuses "default", which stands for no environment
// in the names of streams and heartbeat channels.
func ParseEnvironment(name string) (string, error) {
	if err := checkEnvironment(name); err != nil {
		return "", err
	}
	name = strings.ToLower(strings.TrimSpace(name))
	switch {
	case len(name) > MaxEnvironmentLength:
		return "", fmt.Errorf("the name of the environment has %d bytes in lower case, and %d at most are allowed", len(name), MaxEnvironmentLength)
	case strings.ContainsFunc(name, unicode.IsSpace):
		return "", fmt.Errorf("environment %q has white space in it: leave it out", name)
	case name == noEnvironment:
		return "", fmt.Errorf("environment %q means that there is none: leave it empty, or choose another name", name)
	}
	return name, nil
}

func checkEnvironment(name string) error {
	switch {
	case !utf8.ValidString(name):
		return fmt.Errorf("the name of the environment is not valid UTF-8: %q", name)
	case strings.ContainsAny(name, "\"'`"):
		return fmt.Errorf("environment %q has quotes, which are part of the name here: leave them out", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("environment %q has a control character, such as the end of a line: leave it out", name)
	}
	return nil
}
