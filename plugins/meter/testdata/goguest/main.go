//go:build wasip1

// A guest by the stock Go toolchain, for the meter's tests: it looks for words in a text.
package main

import (
	"strings"
	"unsafe"
)

var text [4096]byte

var words = strings.Fields("winner casino viagra lottery bitcoin giveaway subscribe followers cheap discount earnings clicks iphone " +
	"homework crypto telegram whatsapp fans jackpot refund")

//go:wasmexport text
func textAt() unsafe.Pointer { return unsafe.Pointer(&text) }

//go:wasmexport words
func count(n uint32) uint32 {
	lower := strings.ToLower(string(text[:min(int(n), len(text))]))
	hits := uint32(0)
	for _, w := range words {
		if strings.Contains(lower, w) {
			hits++
		}
	}
	return hits
}

func main() {}
