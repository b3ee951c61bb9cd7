// A rule in stock Go, without a kit: it holds what contains "spam", prints what it is told to print, and says on demand what the
// world looks like from the inside. The tests build it with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"
)

var input [64 << 10]byte

//go:wasmexport tk_buf
func buffer() uint64 {
	return uint64(uintptr(unsafe.Pointer(&input)))<<32 | uint64(len(input))
}

//go:wasmimport ticketing detail
func detail(ptr unsafe.Pointer, n int32) int32

//go:wasmexport tk_eval
func eval(ptr, n uint32) uint64 {
	frame := input[:n]
	title, text := field(frame, 5), field(frame, 6)
	switch title {
	case "print":
		fmt.Println(text)
		fmt.Fprintln(os.Stderr, text)
	case "exit":
		os.Exit(3)
	case "panic":
		panic(text)
	case "world":
		_, file := os.ReadFile("/etc/passwd")
		host, _ := os.Hostname()
		var b [4]byte
		_, _ = rand.Read(b[:])
		say(fmt.Sprintf("%d args, %d env, host %q, file %t, unix %d, random %x", len(os.Args), len(os.Environ()), host, file == nil, time.Now().Unix(), b))
	case "garbage":
		var kept [][]byte
		for range 200 {
			kept = append(kept, make([]byte, 1<<10))
			if len(kept) > 8 {
				kept = kept[1:]
			}
		}
	case "wait":
		time.Sleep(time.Hour)
	}
	if strings.Contains(text, "spam") {
		return 3 << 56
	}
	return 0
}

func field(frame []byte, id uint16) string {
	for i := range int(binary.LittleEndian.Uint32(frame[24:])) {
		e := frame[32+12*i:]
		if binary.LittleEndian.Uint16(e) == id {
			at := binary.LittleEndian.Uint32(e[4:])
			return string(frame[at : at+binary.LittleEndian.Uint32(e[8:])])
		}
	}
	return ""
}

func say(s string) { detail(unsafe.Pointer(unsafe.StringData(s)), int32(len(s))) }

func main() {}
