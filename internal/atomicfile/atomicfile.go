// Package atomicfile replaces a file as a whole: whoever opens it finds all of the old content or all of the new, even after the
// power has failed. What is written has another name until it is on the disk.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Create makes an empty file that can become the one at path, beside it. Only its owner may read it. Its name is that of path, a
// number and suffix, and nobody could have put a link there, because nobody knew the number.
func Create(path, suffix string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+suffix)
}

// Rename gives file the name path once its content is on the disk, and closes it in any case. A link at path is replaced, not
// followed. A power failure may still undo the renaming: then the old file is there, as a whole.
func Rename(file *os.File, path string) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// Replace makes data the content of the file at path. When it fails the old file is still there, and nothing else.
func Replace(path, suffix string, data []byte) error {
	file, err := Create(path, suffix)
	if err != nil {
		return err
	}
	if _, err = file.Write(data); err != nil {
		err = errors.Join(err, file.Close())
	} else {
		err = Rename(file, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// RemoveLeft removes what was to become the file at path when a process was killed. Nobody may be writing there.
func RemoveLeft(path, suffix string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if isLeft(entry.Name(), filepath.Base(path), suffix) {
			errs = append(errs, os.Remove(filepath.Join(filepath.Dir(path), entry.Name())))
		}
	}
	return errors.Join(errs...)
}

// isLeft reports whether Create gives such a name to what can become the file base. A file whose name only begins like it is
// another one's.
func isLeft(name, base, suffix string) bool {
	number, begins := strings.CutPrefix(name, base+".")
	number, ends := strings.CutSuffix(number, suffix)
	return begins && ends && number != "" && strings.Trim(number, "0123456789") == ""
}
