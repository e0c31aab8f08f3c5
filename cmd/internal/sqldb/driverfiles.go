package sqldb

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgservicefile"
)

// driverFile is how the driver finds a file that it reads itself, without a ctx, while it parses the address.
type driverFile struct {
	variable string // of the environment
	usual    string // in the home directory
}

// driverFiles are by the parameter of the address, which goes before the variable.
func driverFiles() map[string]driverFile {
	return map[string]driverFile{
		"passfile":    {"PGPASSFILE", ".pgpass"},
		"servicefile": {"PGSERVICEFILE", ".pg_service.conf"},
		"sslrootcert": {"PGSSLROOTCERT", ".postgresql/root.crt"},
		"sslcert":     {"PGSSLCERT", ".postgresql/postgresql.crt"},
		"sslkey":      {"PGSSLKEY", ".postgresql/postgresql.key"},
	}
}

// checkDriverFiles refuses what is there and is not a file: out of a pipe nothing may ever come, and nobody could end the
// driver's waiting for it.
func checkDriverFiles(query url.Values) error {
	files := driverFiles()
	for _, parameter := range slices.Sorted(maps.Keys(files)) {
		for _, path := range files[parameter].paths(query[parameter]) {
			if err := checkFile(parameter, path); err != nil {
				return err
			}
		}
	}
	service := cmp.Or(query.Get("service"), os.Getenv("PGSERVICE"))
	if service == "" {
		return nil
	}
	for _, path := range files["servicefile"].paths(query["servicefile"]) {
		if err := checkFilesOf(path, service); err != nil {
			return err
		}
	}
	return nil
}

// paths are those of the address, or the one of the environment, or the usual one.
func (f driverFile) paths(named []string) []string {
	if len(named) > 0 {
		return named
	}
	if path := os.Getenv(f.variable); path != "" {
		return []string{path}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil // the driver finds none either
	}
	return []string{filepath.Join(home, filepath.FromSlash(f.usual))}
}

// checkFilesOf looks at what a service names. A file of services that cannot be read is left to the driver, which says so.
func checkFilesOf(path, name string) error {
	all, err := pgservicefile.ReadServicefile(path)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	service, err := all.GetService(name)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	for parameter := range driverFiles() {
		if err := checkFile(parameter, service.Settings[parameter]); err != nil {
			return fmt.Errorf("service %s: %w", name, err)
		}
	}
	return nil
}

// checkFile lets pass what is not there, which the driver judges, and the null device, with which people say that there is none.
func checkFile(parameter, path string) error {
	if path == "" || path == os.DevNull {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() {
		return nil //nolint:nilerr // see above
	}
	return fmt.Errorf("%s: %s is not a file but %s", parameter, path, kindOf(info.Mode()))
}
