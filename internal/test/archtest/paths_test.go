package archtest

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// packagePath is the path of a package on a command line of go.
var packagePath = regexp.MustCompile(`(?:^|[ "'])(\./(?:cmd/|internal/|[a-z])[\w/-]*)`)

// TestWhatIsCalledIsThere: the packages that the Makefile, the scripts and the workflows name.
func TestWhatIsCalledIsThere(t *testing.T) {
	root := os.DirFS("../../..")
	called := 0
	for _, pattern := range []string{"Makefile", "scripts/*", ".github/workflows/*", ".ci/*"} {
		files, err := fs.Glob(root, pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			if info, err := fs.Stat(root, file); err != nil || info.IsDir() {
				continue
			}
			text, err := fs.ReadFile(root, file)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range pathsIn(string(text)) {
				called++
				if _, err := fs.Stat(root, path.Clean(one)); err != nil {
					t.Errorf("%s calls %s: %v", file, one, err)
				}
			}
		}
	}
	if called < 5 {
		t.Errorf("%d paths were found, which cannot be all", called)
	}
}

func TestTheRuleOfWhatIsCalledCanFail(t *testing.T) {
	got := strings.Join(pathsIn("	go test -run '^TestM05' ./internal/outbox -outbox.full\n	go vet ./... \"./cmd/tenantwatch\""), " ")
	if got != "./internal/outbox ./cmd/tenantwatch" {
		t.Errorf("found %s", got)
	}
}

func pathsIn(text string) (paths []string) {
	for line := range strings.SplitSeq(text, "\n") {
		for _, found := range packagePath.FindAllStringSubmatch(line, -1) {
			paths = append(paths, found[1])
		}
	}
	return paths
}
