package rule

// For the tests, which hold the package to the contract of plugins/abi from outside.

func ItemOf(frame []byte) Item { return Item{frame} }
func FrameOf(item Item) []byte { return item.frame }
func Pack(v Verdict) uint64    { return v.pack() }
