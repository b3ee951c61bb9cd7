// Package compile turns modules into machine code apart from the process that runs them. Compiling is the easiest way to stop a
// server: it takes the more time and memory the worse a module is meant, and the engine cannot be interrupted in it. So a
// child process does it, which has limits on processor time, memory and files of its own and is killed when it takes too long;
// all that comes back is a directory of machine code.
//
// # Directory
//
//	<dir>/wazero-<version>-<arch>-<os>/<key>/   one compiled module, in the engine's own form, and its checksum in the file sha256
//	<dir>/tmp-*/                                a child's work; what is left of one that died is removed by the next start
//
// key is the sha256 of the module's bytes. A child writes into a directory of its own, which gets its name when it is done, so
// an entry is whole; one that does not have its checksum any more is made again. The engine trusts its files: the directories have
// mode 0700, and nobody else may write there.
package compile
