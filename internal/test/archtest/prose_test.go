package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// wording is what the rules of CONTRIBUTING for plain words have found before, as far as a pattern can tell it.
type wording struct {
	name, instead string
	found         *regexp.Regexp
	fine          *regexp.Regexp // a place that only looks like it; nil is none
}

// says makes a rule. A space in a pattern is any number of them, and the ends of lines.
func says(name, instead, found, fine string) wording {
	w := wording{name: name, instead: instead, found: regexp.MustCompile(strings.ReplaceAll(found, " ", " +"))}
	if fine != "" {
		w.fine = regexp.MustCompile(strings.ReplaceAll(fine, " ", " +"))
	}
	return w
}

var wordings = []wording{
	says("anew", "again", `\banew\b`, ""),
	says("at the most", "at most", `\bat the most\b`, ""),
	says("also when", "even when", `(?:\w+ )?\b[Aa]lso (?:when|if|where|while)\b`, `^and `),
	says("of now", "current", `\bof now\b`, ""),
	says("is no", "is not a", `(?:\w+\W+)?\b(?:is|are|was|were) no \w+`, `^[Tt]here |no (?:longer|more|less|such|sooner|later)$`),
	says("who without a noun", "a caller that", `\b(?:of|for|to|by|from) who [a-z]+|(?:^|[.:;] )Who [a-z]+s\b`, ""),
	says("belong into", "belong in", `\bbelongs? into\b`, ""),
	says("a metaphor", "silent, repaired", `\b(?:mute|deaf|made good)\b`, ""),
}

// mayStay are the places that a rule finds and that stay, by the file and the name of the rule, and why.
var mayStay = map[string]string{
	"CONTRIBUTING.md: anew": listsThem, "CONTRIBUTING.md: at the most": listsThem, "CONTRIBUTING.md: also when": listsThem,
	"CONTRIBUTING.md: of now": listsThem, "CONTRIBUTING.md: a metaphor": listsThem,
}

const listsThem = "it lists the words that are not to be used"

// TestWordsArePlain reads what people read: the comments of all sources, the texts of those that are not tests, and all that is not Go.
func TestWordsArePlain(t *testing.T) {
	stayed := map[string]bool{}
	eachText(t, func(file string, line int, text string) {
		for _, problem := range notPlain(text) {
			key := file + ": " + problem.name
			stayed[key] = true
			if mayStay[key] == "" {
				t.Errorf("%s:%d: %q: write %q, or say in mayStay why it stays", file, line+problem.line, problem.text, problem.instead)
			}
		}
	})
	for key := range mayStay {
		if !stayed[key] {
			t.Errorf("mayStay has %q, and there is nothing to find", key)
		}
	}
}

func TestTheRuleOfPlainWordsCanFail(t *testing.T) {
	for text, want := range map[string]string{
		"it is begun anew": "anew", "two at the most": "at the most", "at most two": "", "the most of it": "",
		"it holds, also when it is late": "also when", "also\nwhere": "also when", "they also wait": "", "after it, and also when it waits": "",
		"the state of now": "of now", "as of nowhere": "",
		"this is no gap": "is no", "these are\n\t// no gaps": "is no", "it was no event": "is no", "there is no gap": "", "There was\nno gap": "",
		"it is no longer there": "", "what is no such thing": "", "it is not a gap": "", "whether there are no gaps": "",
		"the name of who asks": "who without a noun", "It ends. Who asks is told": "who without a noun", "the caller who asks": "", "Who may ask": "",
		"it belongs into a file": "belong into", "the link is mute": "a metaphor", "a Mute link": "", "what was made good": "a metaphor",
	} {
		var got []string
		for _, problem := range notPlain(blank(text)) {
			got = append(got, problem.name)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: found %q, want %q", text, got, want)
		}
	}
}

// misword is a place that breaks a rule.
type misword struct {
	name, instead, text string
	line                int // after the first of the text
}

func notPlain(text string) (problems []misword) {
	flat := strings.ReplaceAll(text, "\n", " ")
	for _, w := range wordings {
		for _, at := range w.found.FindAllStringIndex(flat, -1) {
			if found := flat[at[0]:at[1]]; w.fine == nil || !w.fine.MatchString(found) {
				problems = append(problems, misword{w.name, w.instead, strings.Join(strings.Fields(found), " "), strings.Count(text[:at[0]], "\n")})
			}
		}
	}
	return problems
}

// commentMark is what begins a line of a comment.
var commentMark = regexp.MustCompile(`(?m)^[ \t]*(?://|#)`)

// blank puts as many spaces where a line of a comment begins, so that a sentence goes on over the end of a line.
func blank(text string) string {
	return commentMark.ReplaceAllStringFunc(text, func(mark string) string { return strings.Repeat(" ", len(mark)) })
}

// eachText calls look with each text that people read, and the line that it begins in.
func eachText(t *testing.T, look func(file string, line int, text string)) {
	t.Helper()
	root := os.DirFS("../../..")
	err := fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if name := entry.Name(); err == nil && name != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "fuzz") {
				return fs.SkipDir
			}
			return err
		}
		ext := filepath.Ext(file)
		if !slices.Contains([]string{".go", ".md", ".txtar", ".txt", ".yml", ".yaml", ".html"}, ext) {
			return nil
		}
		source, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		if ext != ".go" {
			look(file, 1, blank(string(source)))
			return nil
		}
		eachTextOfGo(t, file, source, look)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eachTextOfGo(t *testing.T, file string, source []byte, look func(file string, line int, text string)) {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	show := func(n ast.Node) {
		text := string(source[set.Position(n.Pos()).Offset:set.Position(n.End()).Offset])
		look(file, set.Position(n.Pos()).Line, blank(text))
	}
	for _, group := range tree.Comments {
		show(group)
	}
	if strings.HasSuffix(file, "_test.go") {
		return // a test may name what it tests as it likes
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			show(literal)
		}
		return true
	})
}
