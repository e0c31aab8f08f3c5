package edges

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unlisted returns the exported functions and methods that are in neither list of the table, and the entries of the lists
// that look like one and are not there (any more).
func unlisted(t testing.TB, table Table) []string {
	t.Helper()
	var there []string
	for _, dir := range table.Packages {
		names, err := Exported(dir)
		if err != nil {
			t.Fatal(err)
		}
		there = append(there, names...)
	}
	var found []string
	for _, name := range there {
		if !slices.Contains(table.Operations, name) && table.Inside[name] == "" {
			found = append(found, name)
		}
	}
	for name := range table.Inside {
		if !slices.Contains(there, name) {
			t.Errorf("%s: Inside has %s, which is not there (any more)", table.Face, name)
		}
	}
	slices.Sort(found)
	return found
}

// Exported returns the exported functions and methods of the package in the directory that take a context.Context or
// return an error, as "Function" and "Type.Method". Methods of types that are not exported do not count.
func Exported(dir string) ([]string, error) {
	files, err := fs.Glob(os.DirFS(dir), "*.go")
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no Go file: is it the right directory?", dir)
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, declaration := range tree.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.IsExported() && reaches(f.Type) {
				names = appendName(names, f)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil // a file for each system may have the same function
}

func appendName(names []string, f *ast.FuncDecl) []string {
	if f.Recv == nil {
		return append(names, f.Name.Name)
	}
	receiver := f.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	if name, ok := receiver.(*ast.Ident); ok && name.IsExported() {
		return append(names, name.Name+"."+f.Name.Name)
	}
	return names
}

// reaches reports whether a function takes a context or returns an error, as one that reaches outside does.
func reaches(f *ast.FuncType) bool {
	for _, field := range f.Params.List {
		if selector, ok := field.Type.(*ast.SelectorExpr); ok && selector.Sel.Name == "Context" {
			return true
		}
	}
	if f.Results == nil {
		return false
	}
	return slices.ContainsFunc(f.Results.List, func(field *ast.Field) bool {
		name, ok := field.Type.(*ast.Ident)
		return ok && name.Name == "error"
	})
}
