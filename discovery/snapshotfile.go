package discovery

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/internal/atomicfile"
)

const (
	snapshotFormat = "tenantwatch-snapshot/1" // the first word of the file; the number is that of the format
	snapshotLimit  = 512 << 20
	// saveEvery is the least time between two savings, and that for each 25,000 tenants: about a MiB a second is written
	// while they change all the time, 200,000 of them every eight seconds.
	saveEvery   = time.Second
	saveTenants = 25_000
	// saveShare is the share of the time that writing may take, as on a slow disk: a fiftieth. A pause lasts mostPause at most.
	saveShare = 50
	mostPause = time.Minute
	// fileGrace is how long Start waits for the subscription, and then for the manager, when there is a file to start from.
	fileGrace = 300 * time.Millisecond
	// pendingSuffix ends the name of a file that will become the snapshot file.
	pendingSuffix = ".pending"
)

var errNoFile = errors.New("it is not a regular file")

// savedSet is the last known set, as it is on the disk: a line with the format and the SHA-256 of what follows, then
// this as JSON.
type savedSet struct {
	Service     string    `json:"service"`
	Environment string    `json:"environment,omitempty"`
	SnapshotAt  time.Time `json:"snapshot_at"` // when the manager was heard last
	Tenants     []string  `json:"tenants"`
}

func (s savedSet) encode() ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return append([]byte(snapshotFormat+" "+hex.EncodeToString(sum[:])+"\n"), body...), nil
}

// decodeSaved reads what encode wrote, and refuses everything that is not exactly that.
func decodeSaved(data []byte) (savedSet, error) {
	head, body, whole := bytes.Cut(data, []byte("\n"))
	format, want, two := bytes.Cut(head, []byte(" "))
	if !whole || !two || string(format) != snapshotFormat {
		return savedSet{}, fmt.Errorf("it does not begin with %q", snapshotFormat)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != string(want) {
		return savedSet{}, errors.New("the checksum is wrong")
	}
	var saved savedSet
	if err := json.Unmarshal(body, &saved); err != nil {
		return savedSet{}, err
	}
	return saved, nil
}

// load returns the set of the file, nil when none is configured, there is none, or it is of no use; the log says why.
func (d *TenantDiscovery) load() *activeset.Saved {
	if d.cfg.SnapshotFile == "" {
		return nil
	}
	saved, err := readSaved(d.cfg.SnapshotFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err == nil && (saved.Service != d.cfg.ServiceName || activeset.NormalEnvironment(saved.Environment) != d.cfg.Environment):
		err = fmt.Errorf("it is of service %q, environment %q", saved.Service, saved.Environment)
	}
	if err != nil {
		d.log(slog.LevelWarn, "the snapshot file is of no use and is ignored", "file", d.cfg.SnapshotFile, "error", err)
		return nil
	}
	return &activeset.Saved{Tenants: saved.Tenants, At: saved.SnapshotAt}
}

func readSaved(path string) (savedSet, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // which does not wait for a writer of a pipe
	if err != nil {
		return savedSet{}, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return savedSet{}, errors.Join(cmp.Or(err, errNoFile), file.Close())
	}
	data, err := io.ReadAll(io.LimitReader(file, snapshotLimit+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return savedSet{}, err
	}
	if len(data) > snapshotLimit {
		return savedSet{}, fmt.Errorf("it is larger than %d bytes", snapshotLimit)
	}
	return decodeSaved(data)
}

// keepSaved writes the set to the file whenever it has changed or the manager has confirmed it, until ctx ends, and then
// once more.
func (d *TenantDiscovery) keepSaved(ctx context.Context, r *run) {
	if !becameReady(ctx, r) {
		return
	}
	if err := atomicfile.RemoveLeft(d.cfg.SnapshotFile, pendingSuffix); err != nil {
		d.log(slog.LevelDebug, "what is left of an earlier writing of the snapshot file could not be removed", "error", err)
	}
	var last savedState
	failing, pause := false, saveEvery
	for ended := false; !ended; {
		select {
		case <-r.save:
			sleep(ctx, pause)
		case <-ctx.Done():
		}
		ended = ctx.Err() != nil // before the state is read, so that the last one is saved
		now := d.savedState()
		if now == last {
			continue
		}
		began := time.Now()
		err := d.save(now)
		pause = pauseAfter(now.set.Len(), time.Since(began))
		if err == nil {
			last = now
		} else if !failing {
			d.log(slog.LevelWarn, "the snapshot file could not be written; the old one stays", "file", d.cfg.SnapshotFile, "error", err)
		}
		failing = err != nil
	}
}

// becameReady waits for the end of Start, or of ctx, and reports whether Start has succeeded, even when ctx ended right
// after: then there is a set to be saved.
func becameReady(ctx context.Context, r *run) bool {
	select {
	case <-r.ready:
		return true
	case <-ctx.Done():
	}
	select {
	case <-r.ready:
		return true
	default:
		return false
	}
}

// savedState is what a saving is about.
type savedState struct {
	set activeset.Set
	at  int64 // when the manager was heard last, in nanoseconds since 1970
}

func (d *TenantDiscovery) savedState() savedState {
	d.mu.Lock() // so that the two are of one moment
	defer d.mu.Unlock()
	return savedState{set: d.set(), at: d.Status().LastSnapshot.UnixNano()}
}

// pauseAfter is the least time until the next saving.
func pauseAfter(tenants int, took time.Duration) time.Duration {
	return min(max(saveEvery, time.Duration(tenants)*saveEvery/saveTenants, min(took, mostPause)*saveShare), mostPause)
}

func (d *TenantDiscovery) save(state savedState) error {
	saved := savedSet{
		Service: d.cfg.ServiceName, Environment: d.cfg.Environment,
		SnapshotAt: time.Unix(0, state.at).UTC(), Tenants: state.set.IDs(),
	}
	data, err := saved.encode()
	if err != nil {
		return err
	}
	return atomicfile.Replace(d.cfg.SnapshotFile, pendingSuffix, data)
}
