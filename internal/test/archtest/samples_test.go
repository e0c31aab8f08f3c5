package archtest

import (
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"testing"
)

const docs = "../../../docs"

// sampleLink finds the samples that a document links to.
var sampleLink = regexp.MustCompile(`\]\((samples/[^)#]+)\)`)

func TestEverySampleIsLinkedInTheProtocolAndEveryLinkIsThere(t *testing.T) {
	text, err := os.ReadFile(path.Join(docs, "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	linked := linkedSamples(string(text))
	files := sampleFiles(t)
	if len(linked) == 0 || len(files) == 0 {
		t.Fatalf("%d links, %d samples", len(linked), len(files))
	}
	for _, file := range files {
		if !slices.Contains(linked, file) {
			t.Errorf("docs/protocol.md does not link to %s", file)
		}
	}
	for _, link := range linked {
		if !slices.Contains(files, link) {
			t.Errorf("docs/protocol.md links to %s, which is not there", link)
		}
	}
}

func TestEverySampleIsJSON(t *testing.T) {
	for _, file := range sampleFiles(t) {
		data, err := os.ReadFile(path.Join(docs, file))
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(data) {
			t.Errorf("%s is not JSON", file)
		}
	}
}

func linkedSamples(text string) []string {
	var links []string
	for _, match := range sampleLink.FindAllStringSubmatch(text, -1) {
		links = append(links, match[1])
	}
	return links
}

// sampleFiles returns the samples by their path below docs.
func sampleFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(docs), "samples", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
