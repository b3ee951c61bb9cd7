// Package authoring is the workshop of rule authors: it makes a new rule's directory, builds it with its language's own
// tools, runs its golden tests and labelled data on the real host, and says what a module is. It needs no server.
//
// A rule is a directory with its source (Go or C), plugin.json (the manifest), and, if there are, golden.json (golden tests) and
// config.json (the configuration that it is delivered with).
package authoring
