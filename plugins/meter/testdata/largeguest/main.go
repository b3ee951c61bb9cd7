//go:build wasip1

// A guest by the stock Go toolchain that uses much of the standard library, for the meter's tests: the largest that people are likely to write.
package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"text/template"
	"unsafe"
)

var text [4096]byte

//go:wasmexport text
func textAt() unsafe.Pointer { return unsafe.Pointer(&text) }

//go:wasmexport words
func count(n uint32) uint32 {
	var config struct{ Pattern, Template string }
	if json.Unmarshal(text[:min(int(n), len(text))], &config) != nil {
		return 0
	}
	var out strings.Builder
	pattern, err := regexp.Compile(config.Pattern)
	if err != nil || template.Must(template.New("").Parse(config.Template)).Execute(&out, config) != nil {
		return 0
	}
	return uint32(len(pattern.FindAllString(out.String(), -1)))
}

func main() {}
