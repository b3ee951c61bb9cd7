package rule

import (
	"runtime"
	"unsafe"
)

// buffer is where the host puts frames and the configuration.
var buffer [64 << 10]byte

//go:wasmexport tk_buf
func tkBuf() uint64 {
	return uint64(uintptr(unsafe.Pointer(&buffer)))<<32 | uint64(len(buffer))
}

//go:wasmexport tk_init
func tkInit(_, n uint32) int32 {
	if err := Start(buffer[:n]); err != nil {
		hostLog(Error, err.Error())
		return 1
	}
	return 0
}

//go:wasmexport tk_eval
func tkEval(_, n uint32) uint64 {
	v := judge(Item{buffer[:n]}).fitted(func(line string) { hostLog(Warn, line) })
	for _, l := range v.Labels {
		hostLabel(l, int32(v.Score))
	}
	if v.Detail != "" {
		hostDetail(v.Detail)
	}
	runtime.Gosched() // the collector's workers run only when somebody waits
	return v.pack()
}

//go:wasmimport ticketing field
func importField(field int32, ptr unsafe.Pointer, cap int32) int32

//go:wasmimport ticketing match
func importMatch(set, field int32) int64

//go:wasmimport ticketing match_all
func importMatchAll(set, field int32, ptr unsafe.Pointer, cap int32) int32

//go:wasmimport ticketing regex
func importRegex(set, field int32) int64

//go:wasmimport ticketing norm
func importNorm(form, field int32, ptr unsafe.Pointer, cap int32) int32

//go:wasmimport ticketing hash
func importHash(kind, field int32) int64

//go:wasmimport ticketing list_has
func importListHas(list, field int32) int32

//go:wasmimport ticketing counter_add
func importCounterAdd(ns, key int32, delta int64, window int32) int64

//go:wasmimport ticketing kv_get
func importGet(key unsafe.Pointer, keyLen int32, ptr unsafe.Pointer, cap int32) int32

//go:wasmimport ticketing kv_put
func importPut(key unsafe.Pointer, keyLen int32, value unsafe.Pointer, valueLen, ttl int32) int32

//go:wasmimport ticketing rand
func importRand() int64

//go:wasmimport ticketing label
func importLabel(ptr unsafe.Pointer, length, score int32) int32

//go:wasmimport ticketing detail
func importDetail(ptr unsafe.Pointer, length int32) int32

//go:wasmimport ticketing log
func importLog(level int32, ptr unsafe.Pointer, length int32)

func room(b []byte) (unsafe.Pointer, int32) {
	return unsafe.Pointer(unsafe.SliceData(b)), int32(len(b))
}

func text(s string) (unsafe.Pointer, int32) {
	return unsafe.Pointer(unsafe.StringData(s)), int32(len(s))
}

func hostField(f Field, buf []byte) int32 {
	p, n := room(buf)
	return importField(int32(f), p, n)
}

func hostMatch(set int32, f Field) int64 { return importMatch(set, int32(f)) }

func hostMatchAll(set int32, f Field, buf []byte) int32 {
	p, n := room(buf)
	return importMatchAll(set, int32(f), p, n)
}

func hostRegex(set int32, f Field) int64 { return importRegex(set, int32(f)) }

func hostNorm(form Form, f Field, buf []byte) int32 {
	p, n := room(buf)
	return importNorm(int32(form), int32(f), p, n)
}

func hostHash(kind int32, f Field) int64    { return importHash(kind, int32(f)) }
func hostListHas(list int32, f Field) int32 { return importListHas(list, int32(f)) }

func hostCounterAdd(ns int32, key Field, delta int64, window int32) int64 {
	return importCounterAdd(ns, int32(key), delta, window)
}

func hostGet(key string, buf []byte) int32 {
	k, kn := text(key)
	p, n := room(buf)
	return importGet(k, kn, p, n)
}

func hostPut(key string, value []byte, ttl int32) int32 {
	k, kn := text(key)
	p, n := room(value)
	return importPut(k, kn, p, n, ttl)
}

func hostRand() int64 { return importRand() }

func hostLabel(label string, score int32) int32 {
	p, n := text(label)
	return importLabel(p, n, score)
}

func hostDetail(detail string) int32 {
	p, n := text(detail)
	return importDetail(p, n)
}

func hostLog(level Level, line string) {
	p, n := text(line)
	importLog(int32(level), p, n)
}
