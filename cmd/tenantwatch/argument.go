package main

import (
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// argumentError is what is wrong with the value of a flag or an argument.
type argumentError struct {
	text string
}

// Error says which one, and what.
func (e *argumentError) Error() string { return e.text }

// checkedArguments has kong look at each value before it is decoded, whatever its type.
func checkedArguments() []kong.Option {
	plain := kong.NewRegistry().RegisterDefaults()
	options := []kong.Option{kong.TypeMapper(reflect.TypeFor[time.Duration](), checkedValue{plain.ForType(reflect.TypeFor[time.Duration]())})}
	for _, example := range []any{"", 0, uint64(0), 0.0, []string{}, map[string]string{}} {
		kind := reflect.TypeOf(example)
		options = append(options, kong.KindMapper(kind.Kind(), checkedValue{plain.ForType(kind)}))
	}
	return append(options, kong.KindMapper(reflect.Bool, checkedBool{checkedValue{plain.ForType(reflect.TypeFor[bool]())}}))
}

// checkedValue is a mapper that first looks at what it is given.
type checkedValue struct {
	kong.Mapper
}

// Decode is called by kong.
func (m checkedValue) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	if text, ok := ctx.Scan.Peek().Value.(string); ok {
		if problem := argumentProblem(ctx.Value, text); problem != "" {
			return &argumentError{nameOf(ctx.Value) + " " + problem}
		}
	}
	return m.Mapper.Decode(ctx, target)
}

// checkedBool is one that needs no value.
type checkedBool struct {
	checkedValue
}

// IsBool is called by kong.
func (checkedBool) IsBool() bool { return true }

// argumentProblem says what is wrong with a value on the command line. An empty one is a variable of the shell that is not
// set, as a rule, and going on without it would be about another thing than was meant.
func argumentProblem(v *kong.Value, text string) string {
	f := formOf(v)
	if text == "" && f != formText && f != formBytes && v.Target.Kind() != reflect.Pointer {
		return "is empty"
	}
	return valueProblem(text, f)
}

// formOf reads the tag of a field.
func formOf(v *kong.Value) form {
	switch v.Tag.Get("form") {
	case "text":
		return formText
	case "bytes":
		return formBytes
	case "name":
		return formName
	case "url":
		return formURL
	default:
		return formPlain
	}
}

func nameOf(v *kong.Value) string {
	if v.Flag != nil {
		return "--" + v.Name
	}
	return strings.ToUpper(v.Name)
}
