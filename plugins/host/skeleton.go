package host

import (
	"strings"

	"github.com/mtibben/confusables"
)

// skeleton returns the skeleton of UTS #39: texts with the same one look alike. Invisible characters are left out first, as newer
// versions of the standard do.
func skeleton(s string) string {
	return confusables.Skeleton(strings.Map(func(r rune) rune {
		if invisible(r) {
			return -1
		}
		return r
	}, s))
}
