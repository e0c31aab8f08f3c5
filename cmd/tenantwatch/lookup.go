package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/internal/urlproblem"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// lookup finds settings: the flag first, then the environment. A variable that is empty counts as not there. What is missing
// and what makes no sense is kept, so that all of it is told at once.
type lookup struct {
	getenv   func(string) string
	missing  []string
	problems problems
	found    []foundSetting
}

// foundSetting is a setting with where it came from, for people.
type foundSetting struct {
	Name, Value, From string
}

// setting is one that may be given in several ways.
type setting struct {
	what      string // as people call it
	flag      string // empty for one that has none, because it is a secret
	variables []string
	file      string // a variable that names the file of a secret; the others have the secret itself
	form      form
	fallback  string
	optional  bool
}

// all are the variables that stand for the flag.
func (s setting) all() []string {
	if s.file != "" {
		return []string{s.file}
	}
	return s.variables
}

// find returns the value and where it came from; none where it is missing, or makes no sense, which is noted.
func (l *lookup) find(s setting, value string) (found, from string) {
	from = s.flag
	for _, name := range s.variables {
		if value == "" {
			value, from = l.getenv(name), name
		}
	}
	if value == "" {
		value, from = s.fallback, "default"
	}
	switch problem := valueProblem(value, s.form); {
	case value == "" && !s.optional:
		l.miss(s)
	case problem != "":
		l.problems.note(from + " " + problem)
		return "", from
	case value != "" && s.form != formSecret && s.form != formEncoded:
		l.found = append(l.found, foundSetting{s.what, value, from})
	}
	return value, from
}

// value is find for those who do not ask where it came from.
func (l *lookup) value(s setting, value string) string {
	value, _ = l.find(s, value)
	return value
}

// environment finds the name of an environment, in its normal form.
func (l *lookup) environment(s setting, value string) string {
	s.form = formName
	name, from := l.find(s, value)
	normal, err := tenant.ParseEnvironment(name)
	if err != nil {
		l.problems.note(from + ": " + err.Error())
		return ""
	}
	if name != "" {
		l.found[len(l.found)-1].Value = normal
	}
	return normal
}

// url finds a URL of a kind.
func (l *lookup) url(s setting, kind urlproblem.Kind, value string) (text, from string) {
	s.form = formURL
	text, from = l.find(s, value)
	if text == "" {
		return "", from
	}
	if problem := kind.Problem(text); problem != "" {
		l.problems.note(from + " " + problem + "; it looks like " + kind.Example)
		return "", from
	}
	return text, from
}

// truth finds what is either true or false; false if there is none.
func (l *lookup) truth(variable string) bool {
	text := l.value(setting{what: variable, variables: []string{variable}, optional: true}, "")
	if text == "" {
		return false
	}
	is, err := strconv.ParseBool(text)
	if err != nil {
		l.problems.note(variable + " is neither true nor false")
	}
	return is
}

func (l *lookup) miss(s setting) {
	l.missing = append(l.missing, fmt.Sprintf("  %-18s %s, or %s", s.what, s.flag, strings.Join(s.variables, ", or ")))
}

// fault is one error that names all that is missing or makes no sense, nil if nothing is.
func (l *lookup) fault(whenMissing, whenWrong string) error {
	text, advice := strings.Join(l.problems, "; "), whenWrong
	if len(l.missing) > 0 {
		if text != "" {
			text += "; and "
		}
		text, advice = text+"settings are missing:\n"+strings.Join(l.missing, "\n"), whenMissing
	}
	if text == "" {
		return nil
	}
	return &usageError{text: text, advice: advice}
}

// problems are what makes no sense, to be told at once.
type problems []string

func (p *problems) note(problem string) {
	if problem != "" {
		*p = append(*p, problem)
	}
}

// seeHelp is advice for a user whose flags, or variables, make no sense.
func seeHelp(command string) string {
	return fmt.Sprintf("Run \"tenantwatch %s --help\" for the flags, and the variables beside them.", command)
}
