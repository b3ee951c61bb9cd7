package clustertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// plenty is the size of a node's own file system while it has room.
const plenty = "size=2g"

// mount gives a node a file system of its own, which can become full.
func (n *Node) mount() {
	n.tb.Helper()
	if err := syscall.Mount("tmpfs", n.Dir, "tmpfs", 0, plenty); err != nil {
		if os.Getenv("CI") == "true" {
			n.tb.Fatal(err)
		}
		n.tb.Skipf("a file system cannot be mounted here: %v", err)
	}
	n.tb.Cleanup(func() { _ = syscall.Unmount(n.Dir, syscall.MNT_DETACH) })
}

// fill takes the room on a node's own file system away, but for some bytes.
func (n *Node) fill(spare int64) {
	n.tb.Helper()
	for {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(n.Dir, &fs); err != nil {
			n.tb.Fatal(err)
		}
		used := int64(fs.Blocks-fs.Bfree) * fs.Bsize
		err := syscall.Mount("tmpfs", n.Dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", max(used+spare, fs.Bsize))) // 0 would be no bound
		if err == nil {
			return
		}
		if !errors.Is(err, syscall.EINVAL) { // more was written meanwhile
			n.tb.Fatal(err)
		}
	}
}

// clear gives the room back.
func (n *Node) clear() {
	n.tb.Helper()
	if err := syscall.Mount("tmpfs", n.Dir, "tmpfs", syscall.MS_REMOUNT, plenty); err != nil {
		n.tb.Fatal(err)
	}
}

// FillDisk lets a node run out of room, and waits until it has ended because of that. Then it is started without room, and ends again or serves
// with what it could free, which is returned in words.
func (c *Cluster) FillDisk(n *Node, spare int64) (again string) {
	c.tb.Helper()
	n.fill(spare)
	c.endedFull(n)
	n.fill(0)
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
