package clustertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// plenty is the size of a file system of a test's own while it has room.
const plenty = "size=2g"

// mount puts a file system on a directory that can become full.
func mount(tb testing.TB, dir string) {
	tb.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, plenty); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatal(err)
		}
		tb.Skipf("a file system cannot be mounted here: %v", err)
	}
	tb.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// takeRoom makes the file system on a directory full, but for some bytes.
func takeRoom(tb testing.TB, dir string, spare int64) {
	tb.Helper()
	for {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(dir, &fs); err != nil {
			tb.Fatal(err)
		}
		used := int64(fs.Blocks-fs.Bfree) * fs.Bsize
		err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", max(used+spare, fs.Bsize))) // 0 would be no bound
		if err == nil {
			return
		}
		if !errors.Is(err, syscall.EINVAL) { // more was written meanwhile
			tb.Fatal(err)
		}
	}
}

// giveRoom ends takeRoom.
func giveRoom(tb testing.TB, dir string) {
	tb.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, plenty); err != nil {
		tb.Fatal(err)
	}
}

// FillDisk lets a node run out of room, and waits until it has ended because of that. Then it is started without room, and ends again or serves
// with what it could free, which is returned in words.
func (c *Cluster) FillDisk(n *Node, spare int64) (again string) {
	c.tb.Helper()
	takeRoom(c.tb, n.Dir, spare)
	c.endedFull(n)
	takeRoom(c.tb, n.Dir, 0)
	n.Start()
	c.until(n.Name+" ends without room, or serves", func() bool { return !n.Running() || n.Ready() })
	if n.Running() {
		return "served"
	}
	c.endedFull(n)
	return "ended at its start"
}

// endedFull waits until a node has ended, and fails the test unless it said once that there is no room.
func (c *Cluster) endedFull(n *Node) {
	c.tb.Helper()
	code := n.Ended(60 * time.Second)
	if lines := fatalLines(n); code != 1 || len(lines) != 1 {
		c.tb.Errorf("with a full disk %s ended with exit code %d and said %q", n.Name, code, lines)
	}
}

// straceWorks says why processes cannot be traced here.
func straceWorks() error {
	out, err := exec.Command("strace", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// fatalLines are the lines in which a process says why it ends.
func fatalLines(n *Node) (lines []string) {
	for _, line := range strings.Split(n.Log(), "\n") {
		if strings.Contains(line, "input/output error") || strings.Contains(line, "no space left") {
			lines = append(lines, line)
		}
	}
	return lines
}
