package clustertest

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// socketOf finds the inode of the TCP socket with a local port on loopback; 0: there is none any more.
func socketOf(port int) uint64 {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return 0
	}
	defer f.Close()
	local := fmt.Sprintf("0100007F:%04X", port)
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		if len(fields) > 9 && fields[1] == local {
			inode, _ := strconv.ParseUint(fields[9], 10, 64)
			return inode
		}
	}
	return 0
}

// holds reports whether a process has a socket open.
func holds(pid int, socket uint64) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	d, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return false
	}
	want := fmt.Sprintf("socket:[%d]", socket)
	for _, name := range names {
		if target, err := os.Readlink(dir + "/" + name); err == nil && target == want {
			return true
		}
	}
	return false
}
