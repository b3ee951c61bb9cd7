//go:build nextformat

package wire

import "ticketing"

// The tag makes the program after this one, with which tests upgrade a cluster. Nothing else sets it.
const newestFormat = ticketing.PlatformFormat + 1
