package abi

// WASIModule is the module name of the imports of WASI preview 1, of which the host has a shim that denies by default: what
// is written to standard output or error is logged, the clock stands at the event's time, random bytes come from the event's
// seed, there are no arguments, no environment, no files and no network.
const WASIModule = "wasi_snapshot_preview1"

// WASIImports lists the functions that a module may import from [WASIModule]: all of preview 1.
func WASIImports() []Signature {
	var all []Signature
	for _, f := range [...]struct{ name, params string }{
		{"args_get", "ii"},
		{"args_sizes_get", "ii"},
		{"environ_get", "ii"},
		{"environ_sizes_get", "ii"},
		{"clock_res_get", "ii"},
		{"clock_time_get", "iIi"},
		{"fd_advise", "iIIi"},
		{"fd_allocate", "iII"},
		{"fd_close", "i"},
		{"fd_datasync", "i"},
		{"fd_fdstat_get", "ii"},
		{"fd_fdstat_set_flags", "ii"},
		{"fd_fdstat_set_rights", "iII"},
		{"fd_filestat_get", "ii"},
		{"fd_filestat_set_size", "iI"},
		{"fd_filestat_set_times", "iIIi"},
		{"fd_pread", "iiiIi"},
		{"fd_prestat_get", "ii"},
		{"fd_prestat_dir_name", "iii"},
		{"fd_pwrite", "iiiIi"},
		{"fd_read", "iiii"},
		{"fd_readdir", "iiiIi"},
		{"fd_renumber", "ii"},
		{"fd_seek", "iIii"},
		{"fd_sync", "i"},
		{"fd_tell", "ii"},
		{"fd_write", "iiii"},
		{"path_create_directory", "iii"},
		{"path_filestat_get", "iiiii"},
		{"path_filestat_set_times", "iiiiIIi"},
		{"path_link", "iiiiiii"},
		{"path_open", "iiiiiIIii"},
		{"path_readlink", "iiiiii"},
		{"path_remove_directory", "iii"},
		{"path_rename", "iiiiii"},
		{"path_symlink", "iiiii"},
		{"path_unlink_file", "iii"},
		{"poll_oneoff", "iiii"},
		{"proc_exit", "i"},
		{"proc_raise", "i"},
		{"random_get", "ii"},
		{"sched_yield", ""},
		{"sock_accept", "iii"},
		{"sock_recv", "iiiiii"},
		{"sock_send", "iiiii"},
		{"sock_shutdown", "ii"},
	} {
		s := Signature{Name: f.name, Results: []ValueType{I32}}
		if f.name == WASIExit {
			s.Results = nil
		}
		for _, p := range f.params {
			t := I32
			if p == 'I' {
				t = I64
			}
			s.Params = append(s.Params, t)
		}
		all = append(all, s)
	}
	return all
}

// WASIExit is the one import of WASI that does not return.
const WASIExit = "proc_exit"
