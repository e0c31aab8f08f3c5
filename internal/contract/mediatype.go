package contract

import (
	"mime"
	"strings"
)

// NotJSON says why a body with these headers is not taken for JSON, or is empty when it is. No type at all will do, because there is
// nothing else that it could be. What it says is the text of a 415.
func NotJSON(contentType, contentEncoding string) string {
	if contentEncoding != "" && !strings.EqualFold(contentEncoding, "identity") {
		return "the body must not be compressed"
	}
	if contentType == "" {
		return ""
	}
	media, params, err := mime.ParseMediaType(contentType)
	isJSON := media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
	if err != nil || !isJSON {
		return "the body has to be application/json"
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "the body has to be UTF-8"
	}
	return ""
}
