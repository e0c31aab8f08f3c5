package managerapi

import (
	"fmt"
	"iter"
	"net/url"
	"reflect"
	"unicode/utf8"
)

// encoding/json makes U+FFFD of what is not UTF-8: the manager would keep another text than it was given, and say that all
// is well.

// checkBody refuses a request with such a text.
func checkBody(in any) error {
	if isText(reflect.ValueOf(in)) {
		return nil
	}
	return fmt.Errorf("%w: a text in the request is not valid UTF-8", ErrInvalidArgument)
}

// checkPath refuses one with such a text in its path or its query, which are escaped.
func checkPath(path string) error {
	if plain, err := url.PathUnescape(path); err == nil && utf8.ValidString(plain) {
		return nil
	}
	return fmt.Errorf("%w: a name in the request is not valid UTF-8", ErrInvalidArgument)
}

// isText reports whether all texts in a value are UTF-8.
func isText(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Pointer, reflect.Interface:
		return v.IsNil() || isText(v.Elem())
	case reflect.Struct:
		for _, field := range v.Fields() {
			if !isText(field) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 { // JSON
			return utf8.Valid(v.Bytes())
		}
		return areTexts(v.Seq2())
	case reflect.Map:
		return areTexts(v.Seq2())
	default:
		return true
	}
}

// areTexts is isText for what a slice or a map has.
func areTexts(pairs iter.Seq2[reflect.Value, reflect.Value]) bool {
	for key, value := range pairs {
		if !isText(key) || !isText(value) {
			return false
		}
	}
	return true
}
